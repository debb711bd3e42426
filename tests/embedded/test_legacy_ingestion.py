"""Traces and observations of the legacy batch, in `dual` mode."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from .harness import RunningEngine

_GROUPS = "core,basic,time,io,metadata,model,usage,trace_context"


@pytest.fixture(scope="module")
def dual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """An engine in dual mode."""
    data_dir: Path = tmp_path_factory.mktemp("dual") / "data"
    running = RunningEngine(data_dir, {"LANGFUSE_MIGRATION_V4_WRITE_MODE": "dual"}).start()
    yield running.client
    assert running.stop() == 0, running.log()


@pytest.fixture
def trace_id() -> str:
    return f"trace-{secrets.token_hex(8)}"


def _event(kind: str, body: dict[str, Any], second: int = 0) -> dict[str, Any]:
    return {
        "id": secrets.token_hex(8),
        "type": kind,
        "timestamp": f"2026-01-01T00:00:{second:02d}.000Z",
        "body": body,
    }


def _send(client: httpx.Client, *events: dict[str, Any]) -> None:
    answer = client.post("/api/public/ingestion", json={"batch": events})
    assert answer.status_code == 207, answer.text
    assert answer.json()["errors"] == []
    assert len(answer.json()["successes"]) == len(events)


def _read(client: httpx.Client, trace_id: str) -> dict[str, dict[str, Any]]:
    query = {"traceId": trace_id, "fields": _GROUPS}
    answer = client.get("/api/public/v2/observations", params=query)
    assert answer.status_code == 200, answer.text
    return {observation["id"]: observation for observation in answer.json()["data"]}


def test_a_trace_becomes_a_root_and_its_attributes_stand_on_every_observation(
    dual: httpx.Client, trace_id: str
) -> None:
    trace = {
        "id": trace_id,
        "name": "support",
        "userId": "zeus",
        "sessionId": "album",
        "tags": ["red"],
        "release": "r1",
        "public": True,
        "input": {"q": 1},
        "metadata": {"team": {"name": "athena"}},
    }
    span = {"id": f"{trace_id}-span", "traceId": trace_id, "name": "step", "level": "WARNING"}
    _send(dual, _event("trace-create", trace), _event("span-create", span, 1))
    found = _read(dual, trace_id)
    root, step = found[f"t-{trace_id}"], found[span["id"]]
    assert (root["name"], root["input"], root["isRootObservation"]) == ("support", '{"q":1}', True)
    assert root["metadata"] == {"team.name": "athena"}
    assert (step["type"], step["level"], step["parentObservationId"]) == ("SPAN", "WARNING", f"t-{trace_id}")
    assert step["startTime"] == "2026-01-01T00:00:01.000Z"
    for observation in (root, step):
        assert (observation["userId"], observation["sessionId"]) == ("zeus", "album")
        assert (observation["tags"], observation["release"]) == (["red"], "r1")
        assert (observation["traceName"], observation["public"]) == ("support", True)


def test_a_generation_is_priced_and_its_update_adds_to_it(dual: httpx.Client, trace_id: str) -> None:
    call = f"{trace_id}-call"
    created = {
        "id": call,
        "traceId": trace_id,
        "name": "call",
        "startTime": "2026-01-01T00:00:05.000Z",
        "model": "gpt-4o-mini",
        "modelParameters": {"temperature": 0.5},
        "metadata": {"a": {"x": 1}},
    }
    updated = {
        "id": call,
        "endTime": "2026-01-01T00:00:07.000Z",
        "output": "done",
        "usage": {"promptTokens": 1000, "completionTokens": 500, "totalTokens": 1500},
        "metadata": {"a": {"y": 2}},
    }
    _send(dual, _event("generation-create", created))
    _send(dual, _event("generation-update", updated, 9))
    [observation] = _read(dual, trace_id).values()
    assert (observation["name"], observation["type"]) == ("call", "GENERATION")
    assert observation["startTime"] == "2026-01-01T00:00:05.000Z"
    assert observation["endTime"] == "2026-01-01T00:00:07.000Z"
    assert observation["output"] == "done"
    assert observation["metadata"] == {"a.x": 1, "a.y": 2}
    assert observation["usageDetails"] == {"input": 1000, "output": 500, "total": 1500}
    assert observation["costDetails"] == {"input": 0.00015, "output": 0.0003, "total": 0.00045}


def test_costs_of_the_client_are_kept(dual: httpx.Client, trace_id: str) -> None:
    usage = {"input": 1, "output": 2, "unit": "TOKENS", "inputCost": 0.5, "outputCost": 0.25}
    body = {"id": f"{trace_id}-call", "traceId": trace_id, "model": "gpt-4o-mini", "usage": usage}
    _send(dual, _event("generation-create", body))
    [observation] = _read(dual, trace_id).values()
    assert observation["costDetails"] == {"input": 0.5, "output": 0.25, "total": 0.75}


def test_a_trace_that_comes_late_or_changes_reaches_the_observations_that_are_there(
    dual: httpx.Client, trace_id: str
) -> None:
    _send(dual, _event("span-create", {"id": f"{trace_id}-a", "traceId": trace_id, "name": "a"}))
    [alone] = _read(dual, trace_id).values()
    assert (alone["parentObservationId"], alone["userId"]) == (None, "")
    _send(dual, _event("trace-create", {"id": trace_id, "userId": "zeus", "tags": ["b"]}, 1))
    _send(dual, _event("trace-create", {"id": trace_id, "sessionId": "album", "tags": ["a"]}, 2))
    found = _read(dual, trace_id)
    assert len(found) == 2
    observation = found[f"{trace_id}-a"]
    assert observation["parentObservationId"] == f"t-{trace_id}"
    assert (observation["userId"], observation["sessionId"]) == ("zeus", "album")
    assert observation["tags"] == ["a", "b"]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("event", "EVENT"),
        ("span", "SPAN"),
        ("agent", "AGENT"),
        ("tool", "TOOL"),
        ("chain", "CHAIN"),
        ("retriever", "RETRIEVER"),
        ("evaluator", "EVALUATOR"),
        ("embedding", "EMBEDDING"),
        ("guardrail", "GUARDRAIL"),
    ],
)
def test_every_type_of_observation_is_taken(
    dual: httpx.Client, trace_id: str, kind: str, expected: str
) -> None:
    _send(dual, _event(f"{kind}-create", {"id": f"{trace_id}-o", "traceId": trace_id}))
    assert [observation["type"] for observation in _read(dual, trace_id).values()] == [expected]


def test_an_update_that_arrives_first_keeps_the_start_that_comes_later(
    dual: httpx.Client, trace_id: str
) -> None:
    observation_id = f"{trace_id}-o"
    _send(dual, _event("span-update", {"id": observation_id, "traceId": trace_id, "output": "x"}, 9))
    start = {"startTime": "2026-01-01T00:00:03.000Z"}
    _send(dual, _event("span-create", {"id": observation_id, "traceId": trace_id, "name": "s", **start}, 3))
    [observation] = _read(dual, trace_id).values()
    assert (observation["startTime"], observation["output"]) == (start["startTime"], "x")


def test_an_observation_without_a_trace_moves_to_the_trace_that_is_named_later(
    dual: httpx.Client, trace_id: str
) -> None:
    observation_id = f"{trace_id}-o"
    _send(dual, _event("span-create", {"id": observation_id, "name": "s"}))
    assert list(_read(dual, observation_id)) == [observation_id]
    _send(dual, _event("span-update", {"id": observation_id, "traceId": trace_id}))
    assert _read(dual, observation_id) == {}
    assert list(_read(dual, trace_id)) == [observation_id]


def test_a_deleted_trace_does_not_come_back_with_the_next_event(dual: httpx.Client, trace_id: str) -> None:
    _send(dual, _event("trace-create", {"id": trace_id, "userId": "zeus"}))
    _send(dual, _event("span-create", {"id": f"{trace_id}-a", "traceId": trace_id}))
    assert dual.delete(f"/api/public/traces/{trace_id}").status_code == 200
    _send(dual, _event("span-create", {"id": f"{trace_id}-b", "traceId": trace_id}))
    [observation] = _read(dual, trace_id).values()
    assert (observation["id"], observation["userId"]) == (f"{trace_id}-b", "")


def test_broken_and_unknown_events_are_answered_one_by_one(dual: httpx.Client, trace_id: str) -> None:
    good = _event("span-create", {"id": f"{trace_id}-o", "traceId": trace_id})
    broken = [
        _event("span-update", {"traceId": trace_id}),
        _event("span-create", {"level": "LOUD"}),
        _event("observation-create", {"type": "NOPE"}),
        _event("trace-create", {"tags": "red"}),
        _event("nope", {}),
    ]
    answer = dual.post("/api/public/ingestion", json={"batch": [*broken, good]}).json()
    assert [success["id"] for success in answer["successes"]] == [good["id"]]
    assert [(error["id"], error["status"]) for error in answer["errors"]] == [
        (event["id"], 400) for event in broken
    ]


def test_the_public_key_alone_may_not_send_traces(dual: httpx.Client, trace_id: str) -> None:
    headers = {"authorization": "Bearer pk-lf-test-kosmos"}
    event = _event("trace-create", {"id": trace_id})
    answer = httpx.post(
        f"{dual.base_url}/api/public/ingestion", json={"batch": [event]}, headers=headers
    ).json()
    assert [(error["status"], error["message"]) for error in answer["errors"]] == [
        (401, "Authentication error")
    ]
    assert _read(dual, trace_id) == {}


def test_the_legacy_reads_show_the_trace_as_it_was_sent(dual: httpx.Client, trace_id: str) -> None:
    trace = {"id": trace_id, "name": "support", "userId": "zeus", "input": {"q": 1}, "output": "a"}
    span = {"id": f"{trace_id}-span", "traceId": trace_id, "name": "step"}
    child = {"id": f"{trace_id}-child", "traceId": trace_id, "parentObservationId": span["id"]}
    _send(
        dual, _event("trace-create", trace), _event("span-create", span, 1), _event("span-create", child, 2)
    )
    shown = dual.get(f"/api/public/traces/{trace_id}").json()
    assert (shown["name"], shown["userId"], shown["input"]) == ("support", "zeus", {"q": 1})
    assert shown["output"] == "a"
    parents = {one["id"]: one["parentObservationId"] for one in shown["observations"]}
    assert parents == {span["id"]: None, child["id"]: span["id"]}
    listed = dual.get("/api/public/observations", params={"traceId": trace_id}).json()
    assert {one["id"] for one in listed["data"]} == {span["id"], child["id"]}
    assert listed["meta"]["totalItems"] == 2
