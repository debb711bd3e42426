-- Dashboards and their widgets, as the API describes them: the engine stores them and draws nothing.
create table dashboard_widgets (
    id text primary key,
    project_id text not null references projects (id),
    -- JSON of everything but id and times
    body text not null,
    created_at integer not null,
    updated_at integer not null
) strict;

create index dashboard_widgets_by_project on dashboard_widgets (project_id, created_at desc);

create table dashboards (
    id text primary key,
    project_id text not null references projects (id),
    body text not null,
    created_at integer not null,
    updated_at integer not null
) strict;

create index dashboards_by_project on dashboards (project_id, created_at desc);
