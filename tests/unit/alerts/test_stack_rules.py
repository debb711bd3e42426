"""Every alert about the stack fires and is silent where the table says. Values are one a minute."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from .promtool import CONFIG, RuleTest, firing

pytestmark = pytest.mark.slow

RULES = CONFIG / "prometheus" / "rules" / "stack.yaml"

_CANARY = "langfuse_canary_last_success_timestamp_seconds"
_DISK = '{device="/dev/sda1", fstype="ext4", mountpoint="/"}'
_QUEUE = 'langfuse_queue_jobs{queue="otel-ingestion-queue", state="waiting"}'
_BACKUP = 'langfuse_stack_job_last_success_timestamp_seconds{task="backup"}'
_END = "langfuse_certificate_expiry_timestamp_seconds"
_DAY = 86400
_FAILED = 'alertmanager_notifications_failed_total{integration="slack", reason="other"}'

# name -> (series with which it fires, series with which it is silent); looked at after 80 minutes.
_REFUSED = '{project="kosmos", trace_id="a1", span_id="01", batch="otel/kosmos/x.json"}'

CASES: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "ExporterDown": ({'up{job="exporter"}': "1x70 0x20"}, {'up{job="exporter"}': "1x90"}),
    "ServerUnreachable": ({"langfuse_up": "0x90"}, {"langfuse_up": "1x90"}),
    "CanaryFailing": ({"langfuse_canary_up": "0x90"}, {"langfuse_canary_up": "1x90"}),
    "CanaryStale": ({_CANARY: "0+60x70 4200x20"}, {_CANARY: "0+60x90"}),
    "CanarySlow": (
        {'langfuse_canary_failing{result="slow"}': "1x90"},
        {'langfuse_canary_failing{result="slow"}': "0x4 1 0x4 1 0x80"},
    ),
    "ServerVersionUnexpected": (
        {"langfuse_server_version_as_set": "0x90"},
        {"langfuse_server_version_as_set": "1x70 0x20"},
    ),
    "SdkUnsupported": (
        {'langfuse_server_supports_sdk{sdk="python-5"}': "0x90"},
        {'langfuse_server_supports_sdk{sdk="python-5"}': "1x90"},
    ),
    "ProjectUnreadable": (
        {'langfuse_exporter_project_up{project="kosmos"}': "0x90"},
        {'langfuse_exporter_project_up{project="kosmos"}': "1x77 0x10"},
    ),
    "AlertsFileInvalid": ({"langfuse_exporter_config_ok": "0x90"}, {"langfuse_exporter_config_ok": "1x90"}),
    "GroupsDropped": (
        {'langfuse_exporter_dropped_groups{project="kosmos"}': "3x90"},
        {'langfuse_exporter_dropped_groups{project="kosmos"}': "0x90"},
    ),
    "TargetDown": (
        {'up{job="clickhouse"}': "0x90"},
        {'up{job="clickhouse"}': "1x90", 'up{job="exporter"}': "0x90"},
    ),
    "NotificationsFailing": (
        {_FAILED: "0x75 1x20"},
        {_FAILED: "7x90", 'alertmanager_notifications_total{integration="slack"}': "0+1x90"},
    ),
    "QueueGrowing": ({_QUEUE: "1000+10x90"}, {_QUEUE: "5000-10x90"}),
    "DeadLetters": (
        {'langfuse_queue_jobs{queue="ingestion-queue", state="failed"}': "2x75 3x20"},
        {'langfuse_queue_jobs{queue="ingestion-queue", state="failed"}': "2x90"},
    ),
    "DeadLettersOld": (
        {'langfuse_dead_letter_oldest_age_seconds{queue="ingestion"}': "3601x90"},
        {'langfuse_dead_letter_oldest_age_seconds{queue="ingestion"}': "3599x90"},
    ),
    "RowsDropped": (
        {'langfuse_clickhouse_writer_dropped_rows_total{entity_type="events_full"}': "7x75 8x20"},
        {'langfuse_clickhouse_writer_dropped_rows_total{entity_type="events_full"}': "7x90"},
    ),
    "WriterErrors": (
        {"ClickHouseProfileEvents_FailedInsertQuery": "0+3x90"},
        {
            "ClickHouseProfileEvents_FailedInsertQuery": "0x78 1x20",
            "langfuse_clickhouse_writer_errors_total": "0+1x90",
        },
    ),
    "WriterWaiting": (
        {'langfuse_clickhouse_writer_wait_seconds{unit="milliseconds"}': "61x90"},
        {'langfuse_clickhouse_writer_wait_seconds{unit="milliseconds"}': "0.3x77 61 0.3x10"},
    ),
    "SpansMissing": (
        {f"langfuse_reconcile_refused_span{_REFUSED}": "1x90"},
        {
            f"langfuse_reconcile_refused_span{_REFUSED}": "1x70 _x20",
            "langfuse_reconcile_missing_spans": "3x90",
        },
    ),
    "SpansReplayed": (
        {"langfuse_reconcile_replayed_spans": "0x75 40x20"},
        {"langfuse_reconcile_replayed_spans": "40x90"},
    ),
    "ReconcileStale": (
        {"langfuse_reconcile_last_look_timestamp_seconds": "2990x90"},
        {"langfuse_reconcile_last_look_timestamp_seconds": "0+60x90"},
    ),
    "WorkerSilent": (
        {'up{job="statsd"}': "1x90"},
        {'up{job="statsd"}': "1x90", 'langfuse_worker_queue_depth{queue="ingestion"}': "0x90"},
    ),
    "ClickHouseTooManyParts": (
        {"ClickHouseAsyncMetrics_MaxPartCountForPartition": "301x90"},
        {"ClickHouseAsyncMetrics_MaxPartCountForPartition": "300x90"},
    ),
    "ClickHouseMutationsStuck": (
        {"ClickHouseMetrics_PartMutation": "1x90"},
        {"ClickHouseMetrics_PartMutation": "1x40 0 1x50"},
    ),
    "ClickHouseMemoryHigh": (
        {
            "ClickHouseAsyncMetrics_CGroupMemoryUsed": "91x90",
            "ClickHouseAsyncMetrics_CGroupMemoryTotal": "100x90",
        },
        {
            "ClickHouseAsyncMetrics_CGroupMemoryUsed": "90x90",
            "ClickHouseAsyncMetrics_CGroupMemoryTotal": "100x90",
        },
    ),
    "ValkeyMemoryHigh": (
        {"redis_memory_used_bytes": "81x90", "redis_memory_max_bytes": "100x90"},
        {"redis_memory_used_bytes": "81x90", "redis_memory_max_bytes": "0x90"},
    ),
    "ValkeyEvictions": (
        {"redis_evicted_keys_total": "0x75 1x20"},
        {"redis_evicted_keys_total": "1x90"},
    ),
    "PostgresConnectionsHigh": (
        {
            'pg_stat_activity_count{state="active"}': "41x90",
            'pg_stat_activity_count{state="idle"}': "40x90",
            "pg_settings_max_connections": "100x90",
        },
        {
            'pg_stat_activity_count{state="active"}': "40x90",
            'pg_stat_activity_count{state="idle"}': "40x90",
            "pg_settings_max_connections": "100x90",
        },
    ),
    "PostgresSlotInactive": (
        {'pg_replication_slots_slot_is_active{slot_name="old"}': "0x90"},
        {'pg_replication_slots_slot_is_active{slot_name="old"}': "1x90"},
    ),
    "DiskLow": (
        {f"node_filesystem_avail_bytes{_DISK}": "9x90", f"node_filesystem_size_bytes{_DISK}": "100x90"},
        {f"node_filesystem_avail_bytes{_DISK}": "10x90", f"node_filesystem_size_bytes{_DISK}": "100x90"},
    ),
    "DiskFullSoon": (
        {f"node_filesystem_avail_bytes{_DISK}": "4000-1x90"},
        {f"node_filesystem_avail_bytes{_DISK}": "5000-1x90"},
    ),
    "InodesLow": (
        {f"node_filesystem_files_free{_DISK}": "9x90", f"node_filesystem_files{_DISK}": "100x90"},
        {f"node_filesystem_files_free{_DISK}": "10x90", f"node_filesystem_files{_DISK}": "100x90"},
    ),
    "ContainerRestarting": (
        {'container_start_time_seconds{name="worker"}': "1x70 2 3 4 5x20"},
        {'container_start_time_seconds{name="worker"}': "1x70 2 3x20"},
    ),
    "ContainerOomKilled": (
        {'container_oom_events_total{name="worker"}': "0x75 1x20"},
        {'container_oom_events_total{name="worker"}': "1x90"},
    ),
    "ClockSkew": ({"langfuse_clock_skew_seconds": "-6x90"}, {"langfuse_clock_skew_seconds": "4x90"}),
    "CertificateExpiring": (
        {f'{_END}{{host="langfuse.acme.example"}}': f"{13 * _DAY}x90"},
        {f'{_END}{{host="langfuse.acme.example"}}': f"{15 * _DAY}x90"},
    ),
    "CertificateInvalid": (
        {f'{_END}{{host="langfuse.acme.example"}}': "0x90"},
        {f'{_END}{{host="langfuse.acme.example"}}': f"{13 * _DAY}x90"},
    ),
    # promtool's clock begins at 0: a backup before that time is negative.
    "BackupTooOld": ({_BACKUP: f"-{26 * 3600 - 4000}x90"}, {_BACKUP: f"-{25 * 3600 - 4800}x90"}),
}

_STATSD = 'process_start_time_seconds{job="statsd"}'

# Further ways in which an alert fires.
FURTHER: tuple[tuple[str, dict[str, str], dict[str, str]], ...] = (
    ("TargetDown", {'up{job="postgres"}': "1x60 _x30"}, {'up{job="postgres"}': "1x90"}),
    ("ContainerRestarting", {_STATSD: "1x70 2 3 4 5x20"}, {_STATSD: "1x70 2 3x20"}),
    (
        "ContainerRestarting",
        {"pg_postmaster_start_time_seconds": "1x70 2 3 4 5x20"},
        {"pg_postmaster_start_time_seconds": "1x70 2 3x20"},
    ),
    (
        "ContainerRestarting",
        {"redis_uptime_in_seconds": "0+60x70 9 8 7 7x20"},
        {"redis_uptime_in_seconds": "0+60x70 9 8x20"},
    ),
    (
        "ContainerRestarting",
        {"ClickHouseAsyncMetrics_Uptime": "0+60x70 9 8 7 7x20"},
        {"ClickHouseAsyncMetrics_Uptime": "0+60x90"},
    ),
    ("ContainerOomKilled", {"node_vmstat_oom_kill": "4x75 5x20"}, {"node_vmstat_oom_kill": "4x90"}),
)


def alerts() -> set[str]:
    """Return the names in the file."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"] for group in groups for rule in group["rules"]}


def test_every_alert_about_the_stack_has_a_firing_and_a_silent_case() -> None:
    assert set(CASES) == alerts() - {"Watchdog"}


def test_prometheus_fires_as_the_table_says(tmp_path: Path) -> None:
    tests = [
        RuleTest(name, series, at=80, fires=expected)
        for name, case in (*CASES.items(), *((name, case) for name, *case in FURTHER))
        for expected, series in zip((1, 0), case, strict=True)
    ]
    # It fires whatever there is; that it is silent means that alerting is broken.
    tests.append(RuleTest("Watchdog", {"langfuse_up": "1x90"}, at=80, fires=1))
    done = firing(tests, RULES, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_about_the_stack_tells_severity_value_threshold_and_runbook() -> None:
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in ("info", "warning", "critical"), rule
            assert rule["labels"]["scope"] == "stack", rule
            assert {"summary", "description", "value", "threshold"} <= set(rule["annotations"]), rule
            assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{rule['alert']}.md"
