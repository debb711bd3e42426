-- metrics.duckdb: a copy of the columns that metrics aggregate, in columns. Never the record: it is thrown away
-- whenever it does not fit (another version, damage, another events.db) and fed again.
-- Texts that were not sent are empty in observations, and null in scores. Times are Unix milliseconds, money is USD.

-- How far the copy has come in the sequence of events.db. Written in the transaction of the rows.
create table watermarks (
    name varchar not null, -- 'rows', or 'metadata' once a query has asked for metadata
    seq bigint not null
);

create table observations (
    seq bigint not null,
    project integer not null,
    id varchar not null,
    trace_id varchar not null,
    parent_id varchar not null,
    is_root boolean not null,
    start_time bigint not null,
    end_time bigint,
    completion_start_time bigint,
    name varchar not null,
    type varchar not null,
    level varchar not null,
    version varchar not null,
    release varchar not null,
    environment varchar not null,
    user_id varchar not null,
    session_id varchar not null,
    trace_name varchar not null, -- of a root without one: its own name
    tags varchar[] not null,
    model varchar not null,
    prompt_name varchar not null,
    prompt_version bigint,
    input_tokens bigint not null,
    output_tokens bigint not null,
    total_tokens bigint not null,
    input_cost double not null,
    output_cost double not null,
    total_cost double not null,
    usage_types varchar[] not null,
    usage_values double[] not null,
    cost_types varchar[] not null,
    cost_values double[] not null,
    tool_names varchar[] not null,
    called_tool_names varchar[] not null,
    experiment_id varchar not null,
    experiment_name varchar not null,
    experiment_dataset_id varchar not null
);

create table scores (
    seq bigint not null,
    project integer not null,
    id varchar not null,
    timestamp bigint not null,
    name varchar not null,
    environment varchar not null,
    source varchar not null,
    data_type varchar not null,
    value double,
    string_value varchar,
    trace_id varchar,
    observation_id varchar,
    session_id varchar,
    experiment_id varchar,
    config_id varchar
);

create table observation_metadata (
    seq bigint not null,
    names varchar[] not null,
    entries varchar[] not null
);

create table score_metadata (
    seq bigint not null,
    names varchar[] not null,
    entries varchar[] not null
);

-- Traces of the legacy API: the last text that any observation gave; release and version of those alone that are
-- roots or have attributes of the trace. `root` is the number of the root's row.
create view traces as
select
    project,
    trace_id as id,
    coalesce(max(start_time) filter (where stands_for_trace), min(start_time)) as timestamp,
    -- As store/traces.py: what the span that began last says, of two that began together the later one.
    coalesce(arg_max(trace_name, row(start_time, seq)) filter (where trace_name <> ''), '') as name,
    coalesce(arg_max(user_id, seq) filter (where user_id <> ''), '') as user_id,
    coalesce(arg_max(session_id, seq) filter (where session_id <> ''), '') as session_id,
    coalesce(arg_max(release, seq) filter (where release <> '' and speaks_for_trace), '') as release,
    coalesce(arg_max(version, seq) filter (where version <> '' and speaks_for_trace), '') as version,
    arg_max(environment, seq) as environment,
    coalesce(arg_max(tags, seq) filter (where len(tags) > 0), []) as tags,
    min(seq) filter (where parent_id = '') as root
from (
    select *,
        id = 't-' || trace_id as stands_for_trace,
        is_root or trace_name <> '' or user_id <> '' or session_id <> '' or len(tags) > 0 as speaks_for_trace
    from observations
)
group by project, trace_id;
