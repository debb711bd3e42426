"""Metrics over HTTP: all that was acknowledged counts, changes are followed, damage is repaired."""

from __future__ import annotations

import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from .conftest import StartEngine
from .harness import RunningEngine
from .spans import send, span, span_id, trace_id

METRICS = "/api/public/v2/metrics"
MORNING = 1_768_471_200_000  # 2026-01-15T10:00:00Z
COUNT = {"measure": "count", "aggregation": "count"}


def ask(client: httpx.Client, **query: Any) -> list[dict[str, Any]]:
    """Return the rows of a query over January 2026."""
    document = {
        "view": "observations",
        "metrics": [COUNT],
        "fromTimestamp": "2026-01-01T00:00:00Z",
        "toTimestamp": "2026-02-01T00:00:00Z",
        **query,
    }
    answer = client.get(METRICS, params={"query": json.dumps(document)})
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()["data"]
    return rows


def count(client: httpx.Client, environment: str) -> int:
    """Return the number of observations of an environment."""
    return int(ask(client, filters=[_in(environment)])[0]["count_count"])


def _in(environment: str) -> dict[str, Any]:
    return {"column": "environment", "type": "string", "operator": "=", "value": environment}


def _attributes(environment: str, **more: Any) -> dict[str, Any]:
    return {"langfuse.environment": environment, **more}


def test_what_was_acknowledged_is_counted_at_once(client: httpx.Client) -> None:
    for number in range(1, 6):
        send(client, span(trace_id(), start=MORNING, attributes=_attributes("at-once")))
        assert count(client, "at-once") == number


def test_measures_asked_together_are_those_asked_one_by_one(client: httpx.Client) -> None:
    shared = trace_id()
    durations = (10, 20, 40, 80, 1000)
    for number, duration in enumerate(durations):
        trace = shared if number < 3 else trace_id()
        more = _attributes("together", **{"user.id": f"user-{number % 2}"})
        send(client, span(trace, start=MORNING, duration=duration, attributes=more))
    asked = ["p95_latency", "count_count", "uniq_traceId", "p50_latency", "uniq_uniqueUserIds", "max_latency"]
    metrics = [dict(zip(("aggregation", "measure"), one.split("_"), strict=True)) for one in asked]
    for filters in ([_in("together")], [_in("of-nobody")]):
        for by in ([], [{"field": "environment"}]):
            together = ask(client, metrics=metrics, filters=filters, dimensions=by)
            apart = [ask(client, metrics=[one], filters=filters, dimensions=by) for one in metrics]
            assert together == [
                {name: value for row in rows for name, value in row.items()}
                for rows in zip(*apart, strict=True)
            ]
    [row] = ask(client, metrics=metrics, filters=[_in("together")])
    assert row == {
        "p95_latency": pytest.approx(816),
        "count_count": 5,
        "uniq_traceId": 3,
        "p50_latency": 40,
        "uniq_uniqueUserIds": 2,
        "max_latency": 1000,
    }


def test_a_replaced_observation_counts_once_with_its_last_values(client: httpx.Client) -> None:
    trace, one = trace_id(), span_id()
    for duration in (1000, 4000):
        send(
            client,
            span(trace, id=one, start=MORNING, duration=duration, attributes=_attributes("replaced")),
        )
        rows = ask(
            client, filters=[_in("replaced")], metrics=[COUNT, {"measure": "latency", "aggregation": "sum"}]
        )
        assert rows == [{"count_count": 1, "sum_latency": duration}]


def test_a_deleted_trace_is_counted_no_more(client: httpx.Client) -> None:
    kept, gone = trace_id(), trace_id()
    for trace in (kept, gone):
        send(client, span(trace, start=MORNING, attributes=_attributes("deleted")))
    assert count(client, "deleted") == 2
    answer = client.delete(f"/api/public/traces/{gone}")
    assert answer.status_code == 200, answer.text
    assert count(client, "deleted") == 1


def test_a_deleted_score_is_counted_no_more(client: httpx.Client) -> None:
    trace = trace_id()
    send(client, span(trace, "agent", start=MORNING, attributes=_attributes("scored")))
    for score_id, value in (("one", 0.5), ("two", 1.5)):
        event = {
            "id": f"event-{score_id}",
            "type": "score-create",
            "timestamp": "2026-01-15T10:00:01.000Z",
            "body": {
                "id": f"metrics-{score_id}",
                "traceId": trace,
                "name": "deleted-score",
                "value": value,
                "environment": "scored",
            },
        }
        answer = client.post("/api/public/ingestion", json={"batch": [event]})
        assert answer.json()["errors"] == []
    asked = {
        "view": "scores-numeric",
        "metrics": [COUNT, {"measure": "value", "aggregation": "avg"}],
        "filters": [_in("scored")],
    }
    assert ask(client, **asked) == [{"count_count": 2, "avg_value": 1}]
    assert client.delete("/api/public/scores/metrics-one").status_code == 202
    assert ask(client, **asked) == [{"count_count": 1, "avg_value": 1.5}]


def test_metadata_is_found_also_in_rows_that_came_after_the_first_question(client: httpx.Client) -> None:
    wanted = {"column": "metadata", "type": "stringObject", "operator": "=", "key": "tier", "value": "gold"}
    for number in range(1, 3):
        for tier in ("gold", "silver"):
            metadata = json.dumps({"tier": tier})
            attributes = _attributes("metadata", **{"langfuse.observation.metadata": metadata})
            send(client, span(trace_id(), start=MORNING, attributes=attributes))
        assert ask(client, filters=[_in("metadata"), wanted]) == [{"count_count": number}]


def test_a_key_never_sees_observations_of_another_project(engine: RunningEngine) -> None:
    send(engine.client, span(trace_id(), start=MORNING, attributes=_attributes("mine")))
    with engine.client_for(engine.provision("athena")) as other:
        assert count(other, "mine") == 0
        send(other, span(trace_id(), start=MORNING, attributes=_attributes("mine")))
        assert count(other, "mine") == 1
    assert count(engine.client, "mine") == 1


def test_queries_and_exports_at_the_same_time_agree_in_the_end(client: httpx.Client) -> None:
    def work(number: int) -> int:
        trace = trace_id()
        spans = [span(trace, start=MORNING, attributes=_attributes("busy")) for _ in range(5)]
        send(client, *spans)
        return count(client, "busy")

    with ThreadPoolExecutor(4) as pool:
        seen = list(pool.map(work, range(20)))
    assert count(client, "busy") == 100
    assert all(number >= 5 for number in seen)


@pytest.mark.parametrize("value", ["'; drop table observations; --", "\x00", "$v0", "{}", "%", "🜁" * 50])
def test_hostile_texts_in_filters_are_only_texts(client: httpx.Client, value: str) -> None:
    for condition in (
        {"column": "name", "type": "string", "operator": "contains", "value": value},
        {"column": "tags", "type": "arrayOptions", "operator": "any of", "value": [value]},
        {"column": "metadata", "type": "stringObject", "operator": "=", "key": value, "value": value},
        {"column": "userId", "type": "stringOptions", "operator": "any of", "value": [value]},
    ):
        assert ask(client, filters=[condition]) == [{"count_count": 0}]


def test_units_and_costs_beyond_all_measure_do_not_stop_the_counting(client: httpx.Client) -> None:
    attributes = _attributes(
        "huge",
        **{
            "langfuse.observation.type": "generation",
            "langfuse.observation.usage_details": '{"input": 99999999999999999999999, "output": 1}',
            "langfuse.observation.cost_details": '{"total": 1e305}',
        },
    )
    send(client, span(trace_id(), start=MORNING, attributes=attributes))
    assert count(client, "huge") == 1
    rows = ask(client, filters=[_in("huge")], metrics=[{"measure": "outputTokens", "aggregation": "sum"}])
    assert rows == [{"sum_outputTokens": 1}]


def test_rows_become_countable_with_the_visibility_lag(start_engine: StartEngine) -> None:
    lagging = start_engine(INGEST_LAG_MS="60000")
    send(lagging.client, span(trace_id(), start=MORNING, attributes=_attributes("late")))
    assert count(lagging.client, "late") == 0


def test_counts_survive_a_kill(start_engine: StartEngine) -> None:
    running = start_engine()
    for _ in range(3):
        send(running.client, span(trace_id(), start=MORNING, attributes=_attributes("killed")))
        assert count(running.client, "killed") > 0
    send(running.client, span(trace_id(), start=MORNING, attributes=_attributes("killed")))
    running.kill()
    assert count(running.start().client, "killed") == 4


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"this is not a database" * 1000, id="no database"),
        pytest.param(None, id="torn"),
    ],
)
def test_a_projection_that_cannot_be_read_is_built_anew(
    start_engine: StartEngine, content: bytes | None
) -> None:
    running = start_engine()
    send(running.client, span(trace_id(), start=MORNING, attributes=_attributes("damaged")))
    assert count(running.client, "damaged") == 1
    assert running.stop() == 0
    file = running.data_dir / "metrics.duckdb"
    file.write_bytes(file.read_bytes()[:5000] if content is None else content)
    assert count(running.start().client, "damaged") == 1


def test_a_projection_of_another_version_is_built_anew(start_engine: StartEngine) -> None:
    running = start_engine()
    send(running.client, span(trace_id(), start=MORNING, attributes=_attributes("version")))
    assert count(running.client, "version") == 1
    assert running.stop() == 0
    _change_projection(running.data_dir, "update watermarks set name = 'version of tomorrow' where seq = 0")
    _change_projection(running.data_dir, "delete from observations")
    assert count(running.start().client, "version") == 1


def test_a_projection_of_other_events_is_built_anew(start_engine: StartEngine) -> None:
    running = start_engine()
    for _ in range(2):
        send(running.client, span(trace_id(), start=MORNING, attributes=_attributes("restored")))
    assert count(running.client, "restored") == 2
    assert running.stop() == 0
    # As after restoring an older copy of the events: the last trace never happened.
    with sqlite3.connect(running.data_dir / "events.db") as events:
        events.execute("delete from observations where seq = (select max(seq) from observations)")
    events.close()
    assert count(running.start().client, "restored") == 1


def _change_projection(data_dir: Path, statement: str) -> None:
    import duckdb

    with duckdb.connect(str(data_dir / "metrics.duckdb")) as projection:
        projection.execute(statement)
