"""The tables of ClickHouse by the names and columns that they have in Langfuse v4.

Two columns are the rehearsal's own: `rehearsal_source` has what the engine needs to show the row again, and
`rehearsal_at` is when it was written.
"""

from __future__ import annotations

_OWN = """
    rehearsal_source String CODEC(ZSTD(3)),
    rehearsal_at DateTime64(6) DEFAULT now64(6)"""

_EVENT = """
    project_id String, trace_id String, span_id String, parent_span_id String,
    start_time DateTime64(6), end_time Nullable(DateTime64(6)),
    name String, type LowCardinality(String), environment LowCardinality(String) DEFAULT 'default',
    version String, release String, trace_name String, user_id String, session_id String,
    tags Array(String), level LowCardinality(String), status_message String,
    completion_start_time Nullable(DateTime64(6)), is_app_root Bool, bookmarked Bool, public Bool,
    prompt_id String, prompt_name String, prompt_version Nullable(UInt16),
    model_id String, provided_model_name String, model_parameters String,
    provided_usage_details Map(LowCardinality(String), UInt64),
    usage_details Map(LowCardinality(String), UInt64),
    provided_cost_details Map(LowCardinality(String), Decimal(18, 12)),
    cost_details Map(LowCardinality(String), Decimal(18, 12)),
    calculated_total_cost Decimal(18, 12) MATERIALIZED
        arraySum(mapValues(mapFilter((name, _) -> match(name, '(?i)input|output'), cost_details))),
    tool_definitions Map(String, String), tool_calls Array(String), tool_call_names Array(String),
    input String CODEC(ZSTD(3)), output String CODEC(ZSTD(3)),
    metadata_names Array(String), metadata_values Array(String),
    experiment_id String, experiment_name String, experiment_dataset_id String, experiment_item_id String,
    source LowCardinality(String), service_name String, service_version String,
    scope_name String, scope_version String, telemetry_sdk_language LowCardinality(String),
    telemetry_sdk_name String, telemetry_sdk_version String,
    blob_storage_file_path String, event_bytes UInt64,
    created_at DateTime64(6) DEFAULT now64(6), updated_at DateTime64(6) DEFAULT now64(6),
    event_ts DateTime64(6), is_deleted UInt8,
    ingestion_api_key String, ingestion_sdk_name LowCardinality(String),
    ingestion_sdk_version LowCardinality(String)"""

_EVENT_ENGINE = """
    ENGINE = ReplacingMergeTree(event_ts, is_deleted) PARTITION BY toYYYYMM(start_time)
    PRIMARY KEY (project_id, toStartOfMinute(start_time), xxHash32(trace_id))
    ORDER BY (project_id, toStartOfMinute(start_time), xxHash32(trace_id), span_id, start_time)"""

_STAMPS = """
    created_at DateTime64(3) DEFAULT now(), updated_at DateTime64(3) DEFAULT now(),
    event_ts DateTime64(3), is_deleted UInt8"""

TABLES = (
    f"CREATE TABLE events_full ({_EVENT}, {_OWN}) {_EVENT_ENGINE}",
    f"CREATE TABLE events_core ({_EVENT}) {_EVENT_ENGINE}",
    """CREATE MATERIALIZED VIEW events_core_mv TO events_core AS
        SELECT * EXCEPT (input, output, metadata_values, rehearsal_source, rehearsal_at),
            leftUTF8(input, 200) AS input, leftUTF8(output, 200) AS output,
            arrayMap(value -> leftUTF8(value, 200), metadata_values) AS metadata_values
        FROM events_full""",
    f"""CREATE TABLE scores (
        id String, timestamp DateTime64(3), project_id String, trace_id Nullable(String),
        session_id Nullable(String), dataset_run_id Nullable(String), observation_id Nullable(String),
        environment LowCardinality(String) DEFAULT 'default', name String, value Float64, source String,
        comment Nullable(String), metadata Map(LowCardinality(String), String),
        author_user_id Nullable(String), config_id Nullable(String), data_type String,
        string_value Nullable(String), long_string_value String, queue_id Nullable(String),
        {_STAMPS}, {_OWN})
        ENGINE = ReplacingMergeTree(event_ts, is_deleted) PARTITION BY toYYYYMM(timestamp)
        PRIMARY KEY (project_id, toDate(timestamp), name)
        ORDER BY (project_id, toDate(timestamp), name, id)""",
    f"""CREATE TABLE blob_storage_file_log (
        id String, project_id String, entity_type String, entity_id String, event_id String,
        bucket_name String, bucket_path String, {_STAMPS})
        ENGINE = ReplacingMergeTree(event_ts, is_deleted)
        ORDER BY (project_id, entity_type, entity_id, event_id)""",
    f"""CREATE TABLE dataset_run_items_rmt (
        id String, project_id String, dataset_run_id String, dataset_item_id String, dataset_id String,
        trace_id String, observation_id Nullable(String), dataset_run_name String, {_STAMPS})
        ENGINE = ReplacingMergeTree(event_ts, is_deleted)
        ORDER BY (project_id, dataset_id, dataset_run_id, id)""",
    # Legacy: there, and empty while the server writes events only.
    f"""CREATE TABLE traces (
        id String, timestamp DateTime64(3), name String, user_id Nullable(String), project_id String,
        session_id Nullable(String), environment LowCardinality(String), {_STAMPS})
        ENGINE = ReplacingMergeTree(event_ts, is_deleted) PARTITION BY toYYYYMM(timestamp)
        ORDER BY (project_id, toDate(timestamp), id)""",
    f"""CREATE TABLE observations (
        id String, trace_id String, project_id String, type LowCardinality(String), start_time DateTime64(3),
        name String, environment LowCardinality(String), {_STAMPS})
        ENGINE = ReplacingMergeTree(event_ts, is_deleted) PARTITION BY toYYYYMM(start_time)
        ORDER BY (project_id, type, toDate(start_time), id)""",
)

# As golang-migrate makes it with `x-migrations-table-engine=MergeTree`.
HISTORY = (
    "CREATE TABLE IF NOT EXISTS schema_migrations (version Int64, dirty UInt8, sequence UInt64)"
    " ENGINE = MergeTree ORDER BY sequence"
)
