-- Datasets, their items in versions, and runs (which only the dual mode writes).
create table datasets (
    id text primary key,
    project_id text not null references projects (id),
    name text not null,
    description text,
    -- JSON, or null
    metadata text,
    input_schema text,
    expected_output_schema text,
    created_at integer not null,
    updated_at integer not null,
    unique (project_id, name)
) strict;

-- A row is one version of an item: valid from its time until the next version's. Ids are unique in a project.
-- A deletion is a version of its own, so that older views still see the item.
create table dataset_items (
    project_id text not null references projects (id),
    id text not null,
    valid_from integer not null,
    valid_to integer,
    is_deleted integer not null default 0,
    dataset_id text not null references datasets (id) on delete cascade,
    -- JSON, or null
    input text,
    expected_output text,
    metadata text,
    source_trace_id text,
    source_observation_id text,
    status text not null check (status in ('ACTIVE', 'ARCHIVED')),
    created_at integer not null,
    updated_at integer not null,
    primary key (project_id, id, valid_from)
) strict;

create index dataset_items_by_dataset on dataset_items (dataset_id, valid_from desc, id);

create table dataset_runs (
    id text primary key,
    project_id text not null references projects (id),
    dataset_id text not null references datasets (id) on delete cascade,
    name text not null,
    description text,
    metadata text not null,
    created_at integer not null,
    updated_at integer not null,
    unique (dataset_id, name)
) strict;

create table dataset_run_items (
    id text primary key,
    run_id text not null references dataset_runs (id) on delete cascade,
    dataset_item_id text not null,
    -- the version of the item that the run saw
    dataset_item_valid_from integer not null,
    trace_id text not null,
    observation_id text,
    created_at integer not null
) strict;

create index dataset_run_items_by_run on dataset_run_items (run_id, created_at desc);
