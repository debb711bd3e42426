-- Observations: one row a span, narrow, in the order of arrival; their long texts in blocks beside them.

-- Small numbers instead of project ids in every row and index.
create table projects (
    key integer primary key,
    id text not null unique
) strict;

-- The last number given to a row. Numbers only grow, also over deletions and restarts, so that a follower (the
-- metrics projection) can ask for what came after the last number it has seen.
create table sequence (
    last integer not null
) strict;

insert into sequence values (0);

-- What followers have to forget: row `row` of table `kind` is gone, by deletion or because a newer row replaced it.
create table deletions (
    at integer primary key, -- its own place in the sequence
    kind text not null,     -- 'observation' or 'score'
    row integer not null
) strict;

-- Texts that were not sent are empty, as on the server. Ids are blobs where they are lower-case hex of even length,
-- else text (see store/hexid.py): half the size in the row and in the index. Times are Unix milliseconds, money is USD.
create table observations (
    seq integer primary key,
    project integer not null,
    trace_id any not null,
    span_id any not null,
    parent_span_id any, -- null for a root
    start_time integer not null,
    end_time integer,
    completion_start_time integer,
    created_at integer not null,
    name text not null,
    type text not null,
    level text not null,
    status_message text not null,
    version text not null,
    release text not null,
    environment text not null,
    user_id text not null,
    session_id text not null,
    trace_name text not null,
    tags text,          -- JSON array, null when empty
    public integer not null,
    is_app_root integer not null,
    has_input integer not null,
    has_output integer not null,
    prompt_id text not null,
    prompt_name text not null,
    prompt_version integer,
    model text not null,
    model_id text not null,
    model_parameters text, -- JSON object, null when empty
    usage text,         -- JSON object of units by kind, null when empty
    cost text,          -- JSON object of USD by kind, null when empty
    input_tokens integer,  -- sums over the kinds that contain "input" and "output"; total is the kind "total"
    output_tokens integer,
    total_tokens integer,
    input_cost real,
    output_cost real,
    total_cost real,
    pricing_tier_id text,
    pricing_tier_name text,
    tool_names text,        -- JSON array, null when empty
    called_tool_names text, -- JSON array, null when empty
    experiment_id text,
    experiment_name text,
    experiment_dataset_id text,
    experiment_item_id text,
    experiment_item_root_span_id text,
    block integer not null,   -- blocks.id
    position integer not null -- place in the block
) strict;

-- A span sent again replaces its earlier row. The same index reads a trace.
create unique index observations_by_id on observations (project, trace_id, span_id);
-- Lists: newest first.
create index observations_by_time on observations (project, start_time);
create index observations_by_session on observations (project, session_id) where session_id <> '';
create index observations_by_experiment on observations (project, experiment_id) where experiment_id is not null;

-- Input, output, metadata and other long texts of the spans of one trace that arrived together, compressed as one
-- (store/bodies.py): half the size of single spans, because spans of a trace repeat each other.
create table blocks (
    id integer primary key, -- seq of its first row
    body blob not null
) strict;

-- What the planner has to know of the data, once and for all: a trace has few rows, a project has many. Without
-- it SQLite reads a trace by walking the index that happens to be in the order of the answer.
analyze sqlite_schema;
insert into sqlite_stat1 (tbl, idx, stat) values
    ('observations', 'observations_by_id', '1000000 300000 6 1'),
    ('observations', 'observations_by_time', '1000000 300000 5'),
    ('observations', 'observations_by_session', '500000 150000 20'),
    ('observations', 'observations_by_experiment', '10000 5000 50'),
    ('blocks', null, '200000');
