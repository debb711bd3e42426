"""Score reads of `dual` mode, and their absence in `events_only` mode."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from .harness import RunningEngine

V1, V2 = "/api/public/scores", "/api/public/v2/scores"
TRACE = "a" * 32


def send_span(client: httpx.Client, trace_id: str, attributes: dict[str, str]) -> None:
    """Send a root that begins on 1 January 2026."""
    span = {
        "traceId": trace_id,
        "spanId": "b" * 16,
        "name": "root",
        "startTimeUnixNano": "1767225600000000000",
        "endTimeUnixNano": "1767225601000000000",
        "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()],
    }
    export = {"resourceSpans": [{"scopeSpans": [{"scope": {"name": "langfuse-sdk"}, "spans": [span]}]}]}
    assert client.post("/api/public/otel/v1/traces", json=export).status_code == 200


@pytest.fixture(scope="module")
def empty_dual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """An engine in dual mode without scores, for tests that send their own."""
    data_dir: Path = tmp_path_factory.mktemp("empty") / "data"
    running = RunningEngine(data_dir, {"LANGFUSE_MIGRATION_V4_WRITE_MODE": "dual"}).start()
    yield running.client
    assert running.stop() == 0


@pytest.fixture(scope="module")
def dual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """An engine in dual mode with one trace and five scores."""
    data_dir: Path = tmp_path_factory.mktemp("dual") / "data"
    running = RunningEngine(data_dir, {"LANGFUSE_MIGRATION_V4_WRITE_MODE": "dual"}).start()
    attributes = {
        "langfuse.user.id": "zeus",
        "langfuse.session.id": "album",
        "langfuse.environment": "prod",
        "langfuse.trace.tags": '["red","blue"]',
    }
    send_span(running.client, TRACE, attributes)
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("n1", {"traceId": TRACE, "name": "quality", "value": 0.25, "metadata": {"team": "athena"}}),
        ("n2", {"traceId": TRACE, "observationId": "b" * 16, "name": "quality", "value": 0.75}),
        ("c1", {"traceId": "other", "name": "tier", "value": "HIGH", "environment": "staging"}),
        ("b1", {"sessionId": "album", "name": "ok", "value": 1, "dataType": "BOOLEAN", "source": "EVAL"}),
        ("e1", {"datasetRunId": "run", "name": "run", "value": 5, "comment": "why"}),
    ]
    batch = [
        {
            "id": f"event-{score_id}",
            "type": "score-create",
            "timestamp": f"2026-01-01T00:00:0{place}Z",
            "body": {"id": score_id, **body},
        }
        for place, (score_id, body) in enumerate(bodies)
    ]
    assert running.client.post("/api/public/ingestion", json={"batch": batch}).json()["errors"] == []
    yield running.client
    assert running.stop() == 0


def _ids(client: httpx.Client, url: str, **query: Any) -> list[str]:
    answer = client.get(url, params=query)
    assert answer.status_code == 200, answer.text
    assert answer.json()["meta"]["totalItems"] == len(answer.json()["data"])
    return [score["id"] for score in answer.json()["data"]]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        # Scores of a trace that is not there are left out, unless nothing of the trace is asked for.
        ({}, "e1 b1 n2 n1"),
        ({"fields": "score"}, "e1 b1 c1 n2 n1"),
        ({"name": "quality"}, "n2 n1"),
        ({"userId": "zeus"}, "n2 n1"),
        ({"userId": "nobody"}, ""),
        ({"traceTags": ["red", "blue"]}, "n2 n1"),
        ({"traceTags": ["red", "green"]}, ""),
        ({"environment": ["staging", "prod"], "fields": "score"}, "c1"),
        ({"source": "EVAL"}, "b1"),
        ({"operator": ">", "value": "0.5"}, "e1 b1 n2"),
        ({"operator": "!=", "value": "5", "name": "run"}, ""),
        ({"scoreIds": "n1,c1"}, "n1"),
        ({"scoreIds": "n1,c1", "fields": "score"}, "c1 n1"),
        ({"sessionId": "album"}, "b1"),
        ({"datasetRunId": "run"}, "e1"),
        ({"traceId": TRACE}, "n2 n1"),
        ({"observationId": "b" * 16}, "n2"),
        ({"dataType": "CATEGORICAL"}, ""),
        ({"dataType": "CATEGORICAL", "fields": "score"}, "c1"),
        ({"fromTimestamp": "2026-01-01T00:00:02Z", "toTimestamp": "2026-01-01T00:00:04Z"}, "b1"),
        (
            {
                "filter": json.dumps(
                    [
                        {
                            "type": "stringObject",
                            "column": "metadata",
                            "key": "team",
                            "operator": "=",
                            "value": "athena",
                        }
                    ]
                )
            },
            "n1",
        ),
        (
            {"filter": json.dumps([{"type": "number", "column": "value", "operator": "<", "value": 0.5}])},
            "n1",
        ),
    ],
)
def test_every_parameter_narrows_the_list(dual: httpx.Client, query: dict[str, Any], ids: str) -> None:
    assert _ids(dual, V2, **query) == ids.split()


def test_the_first_version_lists_scores_of_traces_alone(dual: httpx.Client) -> None:
    assert _ids(dual, V1) == ["n2", "n1"]
    assert dual.get(f"{V1}/c1").status_code == 200
    assert dual.get(f"{V1}/b1").status_code == 404
    assert "sessionId" not in dual.get(f"{V1}/n1").json()


def test_a_score_comes_with_what_is_known_of_its_trace(dual: httpx.Client) -> None:
    trace = {"userId": "zeus", "tags": ["red", "blue"], "environment": "prod", "sessionId": "album"}
    shown = {score["id"]: score["trace"] for score in dual.get(V2).json()["data"]}
    assert shown == {"n1": trace, "n2": trace, "b1": None, "e1": None}
    del trace["sessionId"]
    assert [score["trace"] for score in dual.get(V1).json()["data"]] == [trace, trace]
    assert all("trace" not in score for score in dual.get(V2, params={"fields": "score"}).json()["data"])
    assert dual.get(V2, params={"fields": "score", "userId": "zeus"}).status_code == 400


def test_numbers_and_texts_are_shown_apart(dual: httpx.Client) -> None:
    listed = dual.get(V2, params={"fields": "score"}).json()["data"]
    shown = {score["id"]: (score["value"], score["stringValue"]) for score in listed}
    assert shown == {
        "n1": (0.25, None),
        "n2": (0.75, None),
        "c1": (0, "HIGH"),
        "b1": (1, "True"),
        "e1": (5, None),
    }


@pytest.mark.parametrize(
    ("kind", "value", "old_clients_see_it"),
    [
        ("NUMERIC", 0.5, True),
        ("BOOLEAN", 1, True),
        ("CATEGORICAL", "high", True),
        ("TEXT", "a remark", True),
        # A kind that Python SDK 4 cannot read: it raises.
        ("CORRECTION", "better", False),
    ],
)
def test_old_clients_see_the_kinds_of_scores_that_they_can_read(
    empty_dual: httpx.Client, kind: str, value: Any, old_clients_see_it: bool
) -> None:
    client, score_id = empty_dual, f"kind-{kind}"
    trace = secrets.token_hex(16)
    send_span(client, trace, {})
    body = {"id": score_id, "traceId": trace, "name": "n", "value": value, "dataType": kind}
    assert client.post(V1, json=body).status_code == 200
    seen = [score_id] if old_clients_see_it else []
    shown = client.get(f"/api/public/traces/{trace}").json()
    assert [score["id"] for score in shown["scores"]] == seen
    [listed] = [one for one in client.get("/api/public/traces").json()["data"] if one["id"] == trace]
    assert listed["scores"] == seen
    assert _ids(client, V1, dataType=kind) == seen
    assert client.get(f"{V1}/{score_id}").status_code == (200 if old_clients_see_it else 404)
    assert _ids(client, V2, dataType=kind) == [score_id]
    assert client.get(f"{V2}/{score_id}").json()["dataType"] == kind


@pytest.mark.parametrize(("hours", "shown"), [(-2, False), (-0.5, True), (0, True), (48, True)])
def test_a_trace_is_shown_without_scores_that_are_an_hour_older(
    empty_dual: httpx.Client, hours: float, shown: bool
) -> None:
    trace, score_id = secrets.token_hex(16), secrets.token_hex(4)
    send_span(empty_dual, trace, {})
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hours)
    event = {
        "id": secrets.token_hex(8),
        "type": "score-create",
        "timestamp": moment.isoformat().replace("+00:00", "Z"),
        "body": {"id": score_id, "traceId": trace, "name": "n", "value": 1},
    }
    assert empty_dual.post("/api/public/ingestion", json={"batch": [event]}).json()["errors"] == []
    found = empty_dual.get(f"/api/public/traces/{trace}").json()
    assert [score["id"] for score in found["scores"]] == ([score_id] if shown else [])


def test_one_score_is_read_by_its_id(dual: httpx.Client) -> None:
    score = dual.get(f"{V2}/e1").json()
    assert (score["datasetRunId"], score["traceId"], score["comment"]) == ("run", None, "why")
    missing = dual.get(f"{V2}/nope")
    assert (missing.status_code, missing.json()["error"]) == (404, "LangfuseNotFoundError")


def test_pages_are_counted(dual: httpx.Client) -> None:
    page = dual.get(V2, params={"page": 2, "limit": 2, "fields": "score"}).json()
    assert [score["id"] for score in page["data"]] == ["c1", "n2"]
    assert page["meta"] == {"page": 2, "limit": 2, "totalItems": 5, "totalPages": 3}


def test_a_filter_on_an_unknown_column_is_refused(dual: httpx.Client) -> None:
    condition = {"type": "string", "column": "nope", "operator": "=", "value": "x"}
    assert dual.get(V2, params={"filter": json.dumps([condition])}).status_code == 400
    assert dual.get(V2, params={"filter": "no json"}).status_code == 400


@pytest.mark.parametrize("url", [V1, V2, f"{V1}/x", f"{V2}/x"])
def test_in_events_only_mode_the_reads_do_not_exist(client: httpx.Client, url: str) -> None:
    answer = client.get(url)
    assert answer.status_code == 404
    assert "events_only mode" in answer.json()["message"]
