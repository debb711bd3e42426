-- Score configs: what scores of a name may look like.
create table score_configs (
    id text primary key,
    project_id text not null references projects (id),
    name text not null,
    data_type text not null,
    is_archived integer not null default 0,
    description text,
    min_value real,
    max_value real,
    categories text, -- JSON array of {label, value}
    created_at integer not null,
    updated_at integer not null
) strict;

create index score_configs_by_project on score_configs (project_id, created_at desc);

-- Models: which names they match and what they cost. Without a project they are built in.
create table models (
    id text primary key,
    project_id text references projects (id),
    name text not null,
    match_pattern text not null,
    start_date integer,
    unit text,
    tokenizer_id text,
    tokenizer_config text, -- JSON
    tiers text not null,   -- JSON array, see pricing/model.py
    position integer not null default 0, -- built-in models are tried in this order
    created_at integer not null,
    updated_at integer not null
) strict;

create index models_by_project on models (project_id, name);

-- Which price list the built-in models come from, and a number that grows with every change of any model.
create table price_list (
    generation integer not null,
    version text not null,     -- empty until the first list is in
    valid_until text not null  -- ISO date of the next known change of a price, or empty
) strict;

insert into price_list values (1, '', '');

create trigger models_inserted after insert on models begin
    update price_list set generation = generation + 1;
end;
create trigger models_updated after update on models begin
    update price_list set generation = generation + 1;
end;
create trigger models_deleted after delete on models begin
    update price_list set generation = generation + 1;
end;
