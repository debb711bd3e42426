-- What the legacy batch of dual mode has said of a trace or an observation so far, merged: later events of the
-- same id add to it, and the rows in `observations` are made from it anew.
create table legacy_bodies (
    project integer not null,
    kind text not null, -- 'trace' or 'observation'
    id text not null,
    trace_id text not null,
    body text not null, -- JSON object
    primary key (project, kind, id)
) strict, without rowid;

create index legacy_bodies_by_trace on legacy_bodies (project, trace_id);
