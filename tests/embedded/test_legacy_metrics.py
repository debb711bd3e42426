"""Metrics of `dual` mode: traces as a view, and days."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from langfuse_embedded.metrics.views_legacy import VIEWS

from .harness import RunningEngine
from .spans import send, span, span_id, trace_id

MORNING = 1_768_471_200_000  # 2026-01-15T10:00:00Z
DAY = 86_400_000


@pytest.fixture(scope="module")
def dual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of an engine with two traces of Zeus on two days, and one of nobody on the second."""
    running = RunningEngine(
        tmp_path_factory.mktemp("dual") / "data", {"LANGFUSE_MIGRATION_V4_WRITE_MODE": "dual"}
    ).start()
    client = running.client
    _trace(
        client, MORNING, {"langfuse.trace.name": "checkout", "user.id": "zeus", "langfuse.trace.tags": ["a"]}
    )
    _trace(client, MORNING + DAY, {"langfuse.trace.name": "checkout", "user.id": "zeus"})
    last = _trace(client, MORNING + DAY, {"langfuse.trace.name": "search"})
    event = {
        "id": "event",
        "type": "score-create",
        "timestamp": "2026-01-16T10:00:01Z",
        "body": {"traceId": last, "name": "quality", "value": 0.5, "metadata": {"tier": "gold"}},
    }
    assert client.post("/api/public/ingestion", json={"batch": [event]}).json()["errors"] == []
    yield client
    assert running.stop() == 0, running.log()


def _trace(client: httpx.Client, start: int, attributes: dict[str, Any]) -> str:
    trace, root = trace_id(), span_id()
    chat = {
        "langfuse.observation.type": "generation",
        "langfuse.observation.model.name": "athena-large",
        "langfuse.observation.usage_details": '{"input": 10, "output": 5}',
        "langfuse.observation.cost_details": '{"total": 0.25}',
    }
    own = {"langfuse.observation.metadata": '{"tier": "gold"}'}
    send(
        client,
        span(trace, "root", id=root, start=start, duration=2000, attributes=attributes | own),
        span(trace, "chat", parent=root, start=start + 500, duration=500, attributes=attributes | chat),
    )
    return trace


def ask(client: httpx.Client, **query: Any) -> list[dict[str, Any]]:
    """Return the rows of a query over January 2026."""
    document = {
        "view": "traces",
        "metrics": [{"measure": "count", "aggregation": "count"}],
        "fromTimestamp": "2026-01-01T00:00:00Z",
        "toTimestamp": "2026-02-01T00:00:00Z",
        **query,
    }
    answer = client.get("/api/public/metrics", params={"query": json.dumps(document)})
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()["data"]
    return rows


def test_traces_are_counted_by_what_their_observations_say(dual: httpx.Client) -> None:
    assert ask(dual, dimensions=[{"field": "name"}]) == [
        {"name": "checkout", "count_count": 2},
        {"name": "search", "count_count": 1},
    ]
    assert ask(dual, dimensions=[{"field": "userId"}]) == [
        {"userId": "zeus", "count_count": 2},
        {"userId": None, "count_count": 1},
    ]


def test_measures_of_a_trace_add_up_its_observations(dual: httpx.Client) -> None:
    measures = [
        ("latency", "max"),
        ("totalCost", "sum"),
        ("totalTokens", "avg"),
        ("observationsCount", "sum"),
        ("count", "count"),
    ]
    metrics = [{"measure": measure, "aggregation": aggregation} for measure, aggregation in measures]
    assert ask(dual, metrics=metrics) == [
        {
            "max_latency": 2000,
            "sum_totalCost": 0.75,
            "avg_totalTokens": 15,
            "sum_observationsCount": 6,
            "count_count": 3,
        }
    ]
    assert ask(dual, metrics=[{"measure": "scoresCount", "aggregation": "sum"}]) == [{"sum_scoresCount": 1}]


def test_metadata_of_a_trace_is_that_of_its_root(dual: httpx.Client) -> None:
    wanted = {"column": "metadata", "type": "stringObject", "operator": "=", "key": "tier", "value": "gold"}
    assert ask(dual, filters=[wanted]) == [{"count_count": 3}]
    assert ask(dual, view="scores-numeric", filters=[wanted]) == [{"count_count": 1}]
    assert ask(dual, filters=[{**wanted, "value": "silver"}]) == [{"count_count": 0}]


def test_observations_and_scores_join_their_trace(dual: httpx.Client) -> None:
    by_trace = {"dimensions": [{"field": "traceName"}]}
    assert ask(dual, view="observations", **by_trace) == [
        {"traceName": "checkout", "count_count": 4},
        {"traceName": "search", "count_count": 2},
    ]
    assert ask(dual, view="scores-numeric", **by_trace) == [{"traceName": "search", "count_count": 1}]


@pytest.mark.parametrize(
    ("view", "name"), [(view, name) for view, tables in VIEWS.items() for name in tables.dimensions]
)
def test_every_dimension_can_be_grouped_by(dual: httpx.Client, view: str, name: str) -> None:
    for row in ask(dual, view=view, dimensions=[{"field": name}]):
        assert list(row) == [name, "count_count"]


@pytest.mark.parametrize(
    ("view", "name"), [(view, name) for view, tables in VIEWS.items() for name in tables.measures]
)
def test_every_measure_can_be_asked_for(dual: httpx.Client, view: str, name: str) -> None:
    [row] = ask(dual, view=view, metrics=[{"measure": name, "aggregation": "max"}])
    assert list(row) == [f"max_{name}"]


def test_ids_are_allowed_without_a_limit(dual: httpx.Client) -> None:
    assert len(ask(dual, dimensions=[{"field": "id"}])) == 3


def test_a_range_of_too_many_buckets_is_refused(dual: httpx.Client) -> None:
    document = {
        "view": "traces",
        "metrics": [{"measure": "count", "aggregation": "count"}],
        "timeDimension": {"granularity": "minute"},
        "fromTimestamp": "1970-01-01T00:00:00Z",
        "toTimestamp": "2970-01-01T00:00:00Z",
    }
    answer = dual.get("/api/public/metrics", params={"query": json.dumps(document)})
    assert (answer.status_code, "narrow the time range" in answer.json()["message"]) == (422, True)


def test_days_come_latest_first_with_units_by_model(dual: httpx.Client) -> None:
    body = dual.get("/api/public/metrics/daily").json()
    assert [(day["date"], day["countTraces"], day["countObservations"]) for day in body["data"]] == [
        ("2026-01-16", 2, 4),
        ("2026-01-15", 1, 2),
    ]
    assert body["meta"] == {"page": 1, "limit": 50, "totalItems": 2, "totalPages": 1}
    assert body["data"][1]["totalCost"] == 0.25
    assert body["data"][1]["usage"] == [
        {
            "model": "athena-large",
            "inputUsage": 10,
            "outputUsage": 5,
            "totalUsage": 15,
            "totalCost": 0.25,
            "countObservations": 1,
            "countTraces": 1,
        },
        {
            "model": None,
            "inputUsage": 0,
            "outputUsage": 0,
            "totalUsage": 0,
            "totalCost": 0,
            "countObservations": 1,
            "countTraces": 1,
        },
    ]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"traceName": "search"}, ["2026-01-16"]),
        ({"userId": "zeus"}, ["2026-01-16", "2026-01-15"]),
        ({"tags": "a"}, ["2026-01-15"]),
        ({"environment": "nowhere"}, []),
        ({"environment": ["default", "nowhere"]}, ["2026-01-16", "2026-01-15"]),
        ({"fromTimestamp": "2026-01-16T00:00:00Z"}, ["2026-01-16"]),
        ({"toTimestamp": "2026-01-16T00:00:00Z"}, ["2026-01-15"]),
        ({"limit": "1", "page": "2"}, ["2026-01-15"]),
    ],
)
def test_days_are_filtered_by_their_traces(
    dual: httpx.Client, query: dict[str, Any], expected: list[str]
) -> None:
    body = dual.get("/api/public/metrics/daily", params=query).json()
    assert [day["date"] for day in body["data"]] == expected


@pytest.mark.parametrize("path", ["metrics", "metrics/daily"])
def test_in_events_only_mode_they_do_not_exist(client: httpx.Client, path: str) -> None:
    answer = client.get(f"/api/public/{path}")
    assert answer.status_code == 404
    assert "events_only mode" in answer.json()["message"]
