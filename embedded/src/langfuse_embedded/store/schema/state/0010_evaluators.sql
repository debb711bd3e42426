-- The secret key and the extra headers of a connection, encrypted (store/secrets.py). Null in rows of before, whose
-- secret was not kept: the connection has to be sent again before a judge can use it.
alter table llm_connections add column sealed text;

-- Evaluators: a name and versions of a definition. Paused ones are not called.
create table evaluators (
    id text primary key,
    project_id text not null references projects (id),
    name text not null,
    description text,
    paused_at integer,
    paused_reason text,
    created_at integer not null,
    updated_at integer not null
) strict;

create index evaluators_by_project on evaluators (project_id, created_at desc);

create table evaluator_versions (
    id text primary key,
    evaluator_id text not null references evaluators (id) on delete cascade,
    version integer not null,
    definition text not null, -- JSON, see store/evaluators.py
    created_at integer not null,
    unique (evaluator_id, version)
) strict;

-- Rules: which observations are judged, by which evaluators.
create table evaluation_rules (
    id text primary key,
    project_id text not null references projects (id),
    name text not null,
    enabled integer not null,
    sampling real not null,
    filter text not null,   -- JSON list of conditions
    since integer not null, -- the last number of events.db when it was enabled: what is older is not judged
    created_at integer not null,
    updated_at integer not null
) strict;

create index evaluation_rules_by_project on evaluation_rules (project_id, created_at desc);

create table evaluation_rule_assignments (
    id text primary key,
    rule_id text not null references evaluation_rules (id) on delete cascade,
    evaluator_id text not null references evaluators (id) on delete cascade,
    position integer not null,
    mapping text, -- JSON list, null: the evaluator's own
    created_at integer not null,
    unique (rule_id, evaluator_id)
) strict;

create index evaluation_rule_assignments_by_evaluator on evaluation_rule_assignments (evaluator_id);
