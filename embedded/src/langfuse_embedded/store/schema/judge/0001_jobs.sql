-- What the judge has looked at, and what it has to do. Written by the judge's process alone, but for its creation.

-- The last number of events.db whose observation was compared with the rules.
create table progress (
    seen integer not null
) strict;

-- A judgement: of one observation, by one evaluator of one rule. `id` follows from these, so that none is made twice.
create table jobs (
    id text primary key,
    project_id text not null,
    project integer not null, -- as in events.db
    trace_id text not null,
    span_id text not null,
    rule_id text not null,
    assignment_id text not null,
    evaluator_id text not null,
    status text not null check (status in ('pending', 'delayed', 'done', 'error', 'cancelled')),
    attempt integer not null, -- how often it was tried before
    due_at integer not null,  -- Unix milliseconds
    created_at integer not null,
    finished_at integer,
    cost real not null,       -- USD of all calls
    error text
) strict;

create index jobs_by_due on jobs (due_at) where status in ('pending', 'delayed');
create index jobs_by_end on jobs (project_id, finished_at) where finished_at is not null;
