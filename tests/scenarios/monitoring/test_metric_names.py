"""What rules and dashboards name is what real exporters of stores and host call it."""

from __future__ import annotations

import json
import re

import docker

from tests.scenarios.extras import Extras
from tests.scenarios.load import in_container
from tests.scenarios.stack import ROOT
from tests.unit.alerts.test_metric_names import names, rules
from tests.waiting import wait_for

NAMES_URL = "http://127.0.0.1:9090/api/v1/label/__name__/values"
WITHIN_S = 90.0
# Not in a stack where nothing is wrong and nothing of the operator's own runs.
ONLY_SOMETIMES = {
    "langfuse_clickhouse_writer_dropped_rows_total": "rows were dropped",
    "langfuse_clickhouse_writer_errors_total": "ClickHouse has refused an insert",
    "langfuse_reconcile_refused_span": "ClickHouse refuses a span for good",
    "langfuse_dead_letter_oldest_age_seconds": "jobs have failed for good",
    "langfuse_stack_job_last_success_timestamp_seconds": "a backup was made",
    "langfuse_exporter_dropped_groups": "projects with many groups",
    "pg_replication_slot_slot_is_active": "a replication slot",
    "pg_replication_slots_slot_is_active": "a replication slot, and an exporter from 0.20 on",
    "ClickHouseAsyncMetrics_CGroupMemoryTotal": "ClickHouse itself, not its stand-in",
    "ClickHouseAsyncMetrics_CGroupMemoryUsed": "ClickHouse itself, not its stand-in",
    "ClickHouseAsyncMetrics_MaxPartCountForPartition": "ClickHouse itself, not its stand-in",
    "ClickHouseAsyncMetrics_Uptime": "ClickHouse itself, not its stand-in",
    "container_start_time_seconds": "cAdvisor",
    "container_oom_events_total": "cAdvisor",
}


def wanted() -> set[str]:
    """Return every metric that a rule about the stack or its dashboard names."""
    panels = json.loads((ROOT / "config/grafana/dashboards/stack-health.json").read_text())["panels"]
    expressions = [target["expr"] for panel in panels for target in panel["targets"]]
    return {name for text in (*expressions, *(rule for _, rule in rules())) for name in names(text)}


def test_prometheus_has_every_metric_that_rules_and_panels_name(
    extras: Extras, engine: docker.DockerClient
) -> None:
    """Histograms of the canary come with its first run, so it may take a while."""
    needed = {name for name in wanted() if name not in ONLY_SOMETIMES}

    def missing() -> list[str]:
        return sorted(needed - known(extras, engine))

    wait_for(lambda: not missing(), missing, WITHIN_S, every_s=1)


def known(extras: Extras, engine: docker.DockerClient) -> set[str]:
    """Return what Prometheus has seen; ALERTS only when one has fired, which the watchdog always does."""
    text = in_container(engine, extras.stack, "prometheus", "wget", "-q", "-O", "-", NAMES_URL)
    return set(json.loads(text)["data"])


def test_the_disk_below_the_volumes_is_measured_once(extras: Extras, engine: docker.DockerClient) -> None:
    """Without anything of the host in the container."""
    url = "http://127.0.0.1:9100/metrics"
    text = in_container(engine, extras.stack, "node-exporter", "wget", "-q", "-O", "-", url)
    sizes = re.findall(r'^node_filesystem_size_bytes\{.*mountpoint="([^"]+)".*\} (\S+)$', text, re.MULTILINE)
    on_disk = [mountpoint for mountpoint, size in sizes if size == dict(sizes)["/volumes"]]
    assert on_disk == ["/volumes"]
    assert float(dict(sizes)["/volumes"]) > 2**30
