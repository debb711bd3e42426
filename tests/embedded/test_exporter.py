"""The exporter over HTTP: values that equal those computed from the raw data, and faults that it survives."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.waiting import wait_for

from .conftest import StartEngine
from .exporting import RunningExporter
from .harness import DEFAULT_KEYS, RunningEngine
from .spans import send, span, span_id, trace_id
from .viewer_client import visitor

pytestmark = pytest.mark.slow

ALERTS = """
actions:
  hook: {type: webhook, url: http://127.0.0.1:9/}
variables:
  daily_budget: {default: 50, kosmos-support: 75}
alerts:
  - {name: confidence, metric: attribution_confidence, condition: avg < 0.7, window: 1h, action: hook}
  - {name: share, metric: attribution_confidence, condition: share(>= 90%) < 60%, window: 1h, action: hook}
  - {name: budget, metric: llm_cost, condition: sum > daily_budget, window: 24h, action: hook}
observe:
  - {metric: tokens, statistics: [sum], window: 24h, group_by: model}
  - {metric: latency, statistics: [p50, p95], window: 1h}
  - {metric: error_rate, statistics: [avg], window: 1h}
  - {metric: traces, statistics: [count], window: 1h}
"""
StartExporter = Callable[..., RunningExporter]


@pytest.fixture
def start_exporter(tmp_path: Path) -> Iterator[StartExporter]:
    """A function that starts an exporter for an engine."""
    started: list[RunningExporter] = []

    def start(base_url: str, alerts: str = ALERTS, **environment: str) -> RunningExporter:
        running = RunningExporter(
            tmp_path / f"exporter-{len(started)}", base_url, [DEFAULT_KEYS], alerts, dict(environment)
        )
        started.append(running)
        return running.start()

    yield start
    for running in started:
        if running.process.poll() is None:
            assert running.stop() == 0, running.log()


def score(client: httpx.Client, trace: str, name: str, value: float) -> None:
    """Create a numeric score."""
    body = {"traceId": trace, "name": name, "value": value, "dataType": "NUMERIC"}
    assert client.post("/api/public/scores", json=body).status_code == 200


def test_every_exported_value_equals_that_computed_from_the_raw_data(
    start_engine: StartEngine, start_exporter: StartExporter
) -> None:
    engine = start_engine()
    random = np.random.default_rng(20)
    confidences = random.uniform(0.4, 1.0, 60)
    durations = random.integers(10, 5000, 60)
    tokens = random.integers(100, 5000, (60, 2))
    models = random.choice(["gpt-4o", "claude-sonnet-4"], 60)
    failed = random.random(60) < 0.2
    for number in range(60):
        trace, root = trace_id(), span_id()
        usage = {"input": int(tokens[number, 0]), "output": int(tokens[number, 1])}
        generation = {
            "langfuse.observation.type": "generation",
            "langfuse.observation.model.name": str(models[number]),
            "langfuse.observation.usage_details": json.dumps(usage),
            "langfuse.observation.cost_details": json.dumps({"total": float(tokens[number].sum()) / 1e6}),
            "langfuse.observation.level": "ERROR" if failed[number] else "DEFAULT",
        }
        send(
            engine.client,
            span(trace, "query", id=root, duration=int(durations[number])),
            span(trace, "answer", parent=root, attributes=generation),
        )
        score(engine.client, trace, "attribution_confidence", float(confidences[number]))
    exporter = start_exporter(engine.base_url)
    wait_for(lambda: exporter.value("langfuse_traces", statistic="count") == 60, "all traces exported")

    confidence = {"score": "attribution_confidence", "window": "1h", "project": "kosmos-support", "by": ""}
    expected = {
        ("langfuse_score", "avg"): confidences.mean(),
        ("langfuse_score", "count"): 60,
        ("langfuse_score", "share >= 0.9"): (confidences >= 0.9).mean(),
    }
    for (name, statistic), value in expected.items():
        assert exporter.value(name, statistic=statistic, **confidence) == pytest.approx(value)
    with visitor(engine.base_url) as visit:
        overview = "/project/kosmos-support/overview"
        wait_for(lambda: "3 evaluated" in visit.get(overview).text, "the overview has been told")
    assert exporter.value("langfuse_llm_cost_usd", statistic="sum") == pytest.approx(tokens.sum() / 1e6)
    for model in ("gpt-4o", "claude-sonnet-4"):
        total = tokens[models == model].sum()
        assert exporter.value("langfuse_tokens", statistic="sum", by="model", group=model) == total
    assert exporter.value("langfuse_error_ratio", statistic="avg") == pytest.approx(failed.sum() / 120)
    for percentile in (50, 95):
        exported = exporter.value("langfuse_trace_latency_seconds", statistic=f"p{percentile}")
        # The Metrics API estimates percentiles: within 2 % of the exact one.
        assert exported == pytest.approx(np.percentile(durations, percentile) / 1000, rel=0.02)
    assert exporter.value("langfuse_alert_variable", variable="daily_budget") == 75

    summary = httpx.get(f"{exporter.url}/summary").json()["projects"][0]
    assert summary["tasks"] == {"1h": 60}
    assert summary["cost_usd"]["24h"] == pytest.approx(tokens.sum() / 1e6)
    assert summary["quality"]["attribution_confidence"]["1h"]["avg"] == pytest.approx(confidences.mean())


def test_a_canary_is_written_and_read_back_and_counts_in_no_metric(
    start_engine: StartEngine, start_exporter: StartExporter
) -> None:
    exporter = start_exporter(start_engine().base_url)
    wait_for(lambda: (exporter.value("langfuse_canary_runs_total", result="ok") or 0) >= 2, "two canaries")
    assert exporter.value("langfuse_canary_up") == 1
    assert exporter.value("langfuse_canary_duration_seconds_count", step="read_score") is not None
    wait_for(lambda: exporter.value("langfuse_traces", statistic="count") == 0, "the project is read")
    assert exporter.value("langfuse_score", statistic="avg") is None


def test_before_the_first_canary_nothing_says_that_it_failed(
    start_engine: StartEngine, start_exporter: StartExporter
) -> None:
    exporter = start_exporter(start_engine().base_url, CANARY_INTERVAL_S="0")
    wait_for(lambda: exporter.value("langfuse_up") == 1, "the server is looked at")
    assert exporter.value("langfuse_canary_up") is None
    since = exporter.value("langfuse_canary_last_success_timestamp_seconds")
    assert since is not None
    assert abs(time.time() - since) < 60  # CanaryStale counts from the start


def test_the_first_canary_waits_for_the_server(
    start_engine: StartEngine, start_exporter: StartExporter
) -> None:
    engine = start_engine()
    engine.stop()
    exporter = start_exporter(engine.base_url)
    wait_for(lambda: exporter.value("langfuse_up") == 0, "the server is missed")
    again = RunningEngine(engine.data_dir, port=int(engine.base_url.rsplit(":", 1)[1])).start()
    try:
        wait_for(lambda: exporter.value("langfuse_canary_up") == 1, "the first canary comes through")
        assert exporter.value("langfuse_canary_runs_total", result="unreachable") == 0
    finally:
        again.stop()


@pytest.mark.parametrize(("wanted", "as_set"), [("4.59.0", 1), ("4.60.0", 0)])
def test_the_version_is_compared_with_what_is_set_and_what_sdks_need(
    start_engine: StartEngine, start_exporter: StartExporter, wanted: str, as_set: int
) -> None:
    exporter = start_exporter(start_engine().base_url, LANGFUSE_VERSION=wanted)
    wait_for(lambda: exporter.value("langfuse_server_version_as_set") == as_set, "the version is compared")
    assert exporter.value("langfuse_server_supports_sdk", sdk="python-5") == 1
    assert exporter.value("langfuse_server_supports_sdk", sdk="python-4") == 1


def test_a_server_of_before_is_too_old_for_new_sdks(
    start_engine: StartEngine, start_exporter: StartExporter
) -> None:
    exporter = start_exporter(start_engine(EMBEDDED_COMPAT="4.16.0").base_url, LANGFUSE_VERSION="4.16.0")
    wait_for(
        lambda: exporter.value("langfuse_server_supports_sdk", sdk="python-5") == 0, "SDK 5 is not supported"
    )
    assert exporter.value("langfuse_server_supports_sdk", sdk="python-4") == 1
    assert exporter.value("langfuse_server_version_as_set") == 1


def test_a_stopped_engine_is_noticed_and_a_started_one_too(
    start_engine: StartEngine, start_exporter: StartExporter
) -> None:
    engine = start_engine()
    exporter = start_exporter(engine.base_url)
    wait_for(lambda: exporter.value("langfuse_exporter_project_up") == 1, "first reading")
    port = int(engine.base_url.rsplit(":", 1)[1])
    engine.kill()
    wait_for(lambda: exporter.value("langfuse_up") == 0, "the engine is missed")
    wait_for(lambda: exporter.value("langfuse_canary_failing", result="unreachable") == 1, "the canary fails")
    wait_for(lambda: exporter.value("langfuse_exporter_project_up") == 0, "the reading fails")
    assert exporter.value("langfuse_exporter_failures_total", source="metrics", reason="unreachable")
    again = RunningEngine(engine.data_dir, port=port).start()
    try:
        wait_for(lambda: exporter.value("langfuse_canary_up") == 1, "the canary recovers")
        wait_for(lambda: exporter.value("langfuse_exporter_project_up") == 1, "the readings recover")
        assert exporter.value("langfuse_up") == 1
    finally:
        again.stop()


def test_a_slow_and_a_refused_canary_are_told_apart(
    start_engine: StartEngine, start_exporter: StartExporter
) -> None:
    lagging = start_engine(INGEST_LAG_MS="30000")
    exporter = start_exporter(lagging.base_url)
    wait_for(lambda: exporter.value("langfuse_canary_failing", result="unreadable") == 1, "unreadable")
    assert exporter.value("langfuse_canary_up") == 0
    assert exporter.value("langfuse_canary_failing", result="refused") == 0

    wrong = start_exporter(lagging.base_url, CANARY_SLOW_S="1")
    path = wrong.root / ".stack" / "credentials" / f"{DEFAULT_KEYS.project_id}.env"
    path.write_text("LANGFUSE_PUBLIC_KEY=pk-lf-test-wrong\nLANGFUSE_SECRET_KEY=sk-lf-test-wrong\n")
    wait_for(lambda: wrong.value("langfuse_canary_failing", result="unauthorized") == 1, "unauthorized")
    wait_for(
        lambda: bool(wrong.value("langfuse_exporter_failures_total", source="metrics", reason="refused")),
        "the wrong key is counted",
    )


def test_a_typo_in_the_alerts_file_keeps_the_alerts_that_were_read_before(
    start_engine: StartEngine, start_exporter: StartExporter
) -> None:
    exporter = start_exporter(start_engine().base_url)
    wait_for(lambda: exporter.value("langfuse_exporter_config_ok") == 1, "the file is read")
    (exporter.root / "config" / "alerts.yaml").write_text("alerts: [{name: broken}]")
    wait_for(lambda: exporter.value("langfuse_exporter_config_ok") == 0, "the typo is noticed")
    assert "alerts[0].metric is missing" in exporter.log()
    before = exporter.value("langfuse_exporter_queries_total")
    wait_for(lambda: exporter.value("langfuse_exporter_queries_total") != before, "it goes on asking")


def test_groups_beyond_the_limit_are_left_out_and_counted(
    start_engine: StartEngine, start_exporter: StartExporter
) -> None:
    engine = start_engine()
    for number in range(5):
        for _ in range(number + 1):
            attributes = {
                "langfuse.observation.type": "generation",
                "langfuse.observation.model.name": f"model-{number}",
                "langfuse.observation.usage_details": '{"input": 10}',
            }
            send(engine.client, span(trace_id(), "answer", attributes=attributes))
    exporter = start_exporter(engine.base_url, EXPORTER_MAX_GROUPS="2")
    wait_for(lambda: exporter.value("langfuse_exporter_dropped_groups") == 3, "three of five are left out")
    groups = {
        labels["group"] for labels, _ in exporter.metrics()["langfuse_tokens"] if labels["by"] == "model"
    }
    assert groups == {"model-4", "model-3"}
