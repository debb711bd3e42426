-- Comments on traces, observations, sessions and prompts.
create table comments (
    id text primary key,
    project_id text not null references projects (id),
    object_type text not null,
    object_id text not null,
    content text not null,
    author_user_id text,
    created_at integer not null,
    updated_at integer not null
) strict;

create index comments_by_object on comments (project_id, object_type, object_id);

-- Queues of what people are to look at.
create table annotation_queues (
    id text primary key,
    project_id text not null references projects (id),
    name text not null,
    description text,
    -- JSON list of ids
    score_config_ids text not null,
    created_at integer not null,
    updated_at integer not null,
    unique (project_id, name)
) strict;

create table annotation_queue_items (
    id text primary key,
    queue_id text not null references annotation_queues (id) on delete cascade,
    object_type text not null,
    object_id text not null,
    status text not null check (status in ('PENDING', 'COMPLETED')),
    completed_at integer,
    created_at integer not null,
    updated_at integer not null
) strict;

create index annotation_queue_items_by_queue on annotation_queue_items (queue_id, created_at desc);

create table annotation_queue_assignments (
    queue_id text not null references annotation_queues (id) on delete cascade,
    user_id text not null references users (id),
    primary key (queue_id, user_id)
) strict, without rowid;
