-- Scores: one row a score. Texts that were not sent are null. Ids of traces and observations are stored as in
-- observations. `value` is the number of a numeric, boolean or configured categorical score, `string_value` the
-- text of any other than a numeric one. `experiment_id` is what the API calls datasetRunId.
create table scores (
    seq integer primary key,
    project integer not null,
    id text not null,
    timestamp integer not null,
    created_at integer not null,
    updated_at integer not null,
    name text not null,
    environment text not null,
    source text not null,
    data_type text not null,
    value real,
    string_value text,
    trace_id any,
    observation_id any,
    session_id text,
    experiment_id text,
    comment text,
    metadata text, -- JSON object of texts, null when empty
    config_id text,
    author_user_id text,
    queue_id text
) strict;

-- A score sent again is merged into its earlier row.
create unique index scores_by_id on scores (project, id);
-- Lists: newest first.
create index scores_by_time on scores (project, timestamp, id);
create index scores_by_trace on scores (project, trace_id) where trace_id is not null;
create index scores_by_session on scores (project, session_id) where session_id is not null;
create index scores_by_experiment on scores (project, experiment_id) where experiment_id is not null;
