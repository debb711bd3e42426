"""What old clients send is taken in `dual` mode by the server's schema, and refused in words elsewhere."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from .conftest import StartEngine
from .harness import RunningEngine
from .spans import send, span, trace_id
from .viewer_client import EMAIL, PASSWORD, visitor

_BATCH = "/api/public/ingestion"
_MOMENT = "2026-01-15T10:00:00Z"


@pytest.fixture(scope="module")
def dual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    environment = {"LANGFUSE_MIGRATION_V4_WRITE_MODE": "dual"}
    running = RunningEngine(tmp_path_factory.mktemp("dual") / "data", environment).start()
    yield running.client
    assert running.stop() == 0, running.log()


def _send(client: httpx.Client, *events: tuple[str, str, dict[str, Any]]) -> dict[str, Any]:
    batch = [
        {"id": secrets.token_hex(8), "type": kind, "timestamp": moment, "body": body}
        for kind, moment, body in events
    ]
    answer: dict[str, Any] = client.post(_BATCH, json={"batch": batch}).raise_for_status().json()
    return answer


def _observation(client: httpx.Client, identifier: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/api/public/observations/{identifier}").raise_for_status().json()
    return found


@pytest.mark.parametrize(
    ("path", "method", "body"),
    [
        ("traces", "POST", {"name": "t"}),
        ("spans", "POST", {"name": "s"}),
        ("spans", "PATCH", {"spanId": "x", "name": "s"}),
        ("generations", "POST", {"name": "g"}),
        ("generations", "PATCH", {"generationId": "x"}),
        ("events", "POST", {"id": "e"}),
    ],
)
def test_the_routes_of_the_first_sdks_are_served_in_dual_mode_alone(
    dual: httpx.Client, client: httpx.Client, path: str, method: str, body: dict[str, Any]
) -> None:
    taken = dual.request(method, f"/api/public/{path}", json=body)
    assert taken.status_code == 200, taken.text
    assert taken.json()["id"]
    refused = client.request(method, f"/api/public/{path}", json=body)
    assert refused.status_code == 404
    assert "events_only" in refused.json()["message"]


def test_a_generation_of_the_first_sdks_keeps_prompt_and_completion(dual: httpx.Client) -> None:
    created = {"traceId": secrets.token_hex(16), "prompt": "q", "usage": {"promptTokens": 3}}
    identifier = dual.post("/api/public/generations", json=created).json()["id"]
    dual.patch("/api/public/generations", json={"generationId": identifier, "completion": "a"})
    found = _observation(dual, identifier)
    assert (found["type"], found["input"], found["output"]) == ("GENERATION", "q", "a")
    assert found["usageDetails"]["input"] == 3


@pytest.mark.parametrize("identifier", [{}, {"id": None}])
def test_what_has_no_id_gets_one(dual: httpx.Client, identifier: dict[str, None]) -> None:
    """The server says 201 as well, and drops them (processEventBatch.ts:232 at 4.16.0)."""
    name = secrets.token_hex(8)
    trace = secrets.token_hex(16)
    answer = _send(
        dual,
        ("trace-create", _MOMENT, {**identifier, "name": f"trace {name}"}),
        ("observation-create", _MOMENT, {**identifier, "traceId": trace, "type": "SPAN", "name": name}),
        ("score-create", _MOMENT, {**identifier, "traceId": trace, "name": name, "value": 1}),
    )
    assert ([one["status"] for one in answer["successes"]], answer["errors"]) == ([201] * 3, [])
    for path, called in (("traces", f"trace {name}"), ("observations", name), ("v3/scores", name)):
        found = dual.get(f"/api/public/{path}", params={"name": called}).raise_for_status().json()["data"]
        assert [bool(one["id"]) for one in found] == [True], path


def test_events_are_taken_in_the_order_of_their_times_and_updates_last(dual: httpx.Client) -> None:
    identifier, trace = secrets.token_hex(8), secrets.token_hex(16)
    answer = _send(
        dual,
        ("span-update", "2026-01-15T10:00:00Z", {"id": identifier, "traceId": trace, "name": "updated"}),
        ("span-create", "2026-01-15T10:00:02Z", {"id": identifier, "traceId": trace, "name": "created"}),
        ("trace-create", "2026-01-15T10:00:01Z", {"id": trace}),
    )
    assert len(answer["successes"]) == 3
    # Merged by time alone: what was said last counts.
    assert _observation(dual, identifier)["name"] == "created"


@pytest.mark.parametrize(
    ("details", "usage"),
    [
        (
            {"input": 3, "output": "4", "bad": "x", "worse": None, "odd": 1.5, "list": [1]},
            {"input": 3, "output": 4},
        ),
        ({"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11}, {"input": 5, "output": 6}),
        ({"bad": {"a": 1}}, {}),
    ],
)  # fmt: skip
def test_of_usage_details_what_is_no_number_is_dropped(
    dual: httpx.Client, details: dict[str, Any], usage: dict[str, int]
) -> None:
    body = {"id": secrets.token_hex(8), "traceId": secrets.token_hex(16), "usageDetails": details}
    body["costDetails"] = {"input": 0.5, "bad": "1", "worse": None, "negative": -1, "odd": [1]}
    assert _send(dual, ("generation-create", _MOMENT, body))["errors"] == []
    found = _observation(dual, body["id"])
    assert {kind: found["usageDetails"].get(kind) for kind in usage} == usage
    assert not {"bad", "worse", "odd", "list"} & found["usageDetails"].keys()
    assert found["costDetails"]["input"] == 0.5
    assert not {"bad", "worse", "negative", "odd"} & found["costDetails"].keys()


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("trace-create", {"id": ""}),
        ("trace-create", {"id": "x" * 801}),
        ("trace-create", {"id": "a\rb"}),
        ("trace-create", {"id": "t", "name": "x" * 1001}),
        ("span-create", {"traceId": "t"}),
        ("generation-create", {"id": "g", "promptName": "p"}),
        ("generation-create", {"id": "g", "promptVersion": 1}),
        ("generation-create", {"id": "g", "usage": {"unit": "WORDS"}}),
        ("generation-create", {"id": "g", "usage": {"input": 1.5}}),
        ("generation-create", {"id": "g", "usageDetails": "many"}),
        ("generation-create", {"id": "g", "modelParameters": {"a": {"b": 1}}}),
        ("observation-create", {"id": "o"}),
        ("observation-create", {"id": "o", "type": "TOOL"}),
        ("dataset-run-item-create", {"traceId": "t", "datasetId": "d", "runId": "r", "datasetItemId": "i"}),
        ("score-create", {"id": "s", "traceId": "t", "name": "n", "value": 1, "source": None}),
        ("nope", {}),
    ],
)
def test_what_the_servers_schema_refuses_is_refused(dual: httpx.Client, kind: str, body: Any) -> None:
    answer = _send(dual, (kind, _MOMENT, body))
    assert answer["successes"] == []
    assert [error["status"] for error in answer["errors"]] == [400]


def test_metadata_comes_back_with_its_names_as_they_were_sent(dual: httpx.Client) -> None:
    trace, sent = secrets.token_hex(16), {"http.status": 200, "a": {"b.c": 1}, "none": None, "empty": {}}
    _send(dual, ("trace-create", _MOMENT, {"id": trace, "metadata": sent}))
    assert dual.get(f"/api/public/traces/{trace}").json()["metadata"] == sent


def test_a_trace_itself_is_no_observation(dual: httpx.Client) -> None:
    trace, user = secrets.token_hex(16), f"user {secrets.token_hex(4)}"
    _send(dual, ("trace-create", _MOMENT, {"id": trace, "userId": user}))
    span = {"id": secrets.token_hex(8), "traceId": trace, "startTime": "2026-01-15T10:00:01Z"}
    _send(dual, ("span-create", _MOMENT, span | {"endTime": "2026-01-15T10:00:02Z"}))
    [shown] = dual.get("/api/public/traces", params={"userId": user}).json()["data"]
    assert (shown["observations"], shown["latency"], shown["timestamp"]) == (
        [span["id"]],
        1,
        "2026-01-15T10:00:00.000Z",
    )
    listed = dual.get("/api/public/observations", params={"userId": user}).json()["data"]
    assert [one["id"] for one in listed] == [span["id"]]


@pytest.mark.parametrize("tags", ["a,b", ["a", "b"]])
def test_tags_and_environments_may_be_a_list_with_commas(dual: httpx.Client, tags: Any) -> None:
    trace, session = secrets.token_hex(16), secrets.token_hex(8)
    body = {"id": trace, "tags": ["a", "b", "c"], "environment": "one", "sessionId": session}
    _send(dual, ("trace-create", _MOMENT, body))
    for path in ("traces", "metrics/daily"):
        found = dual.get(f"/api/public/{path}", params={"tags": tags, "environment": "two,one"}).json()
        assert found["meta"]["totalItems"] >= 1
    sessions = dual.get("/api/public/sessions", params={"environment": "two,one"}).json()["data"]
    assert session in [one["id"] for one in sessions]


def test_datasets_of_version_1_have_their_items_and_runs(dual: httpx.Client, client: httpx.Client) -> None:
    for engine in (dual, client):
        name = f"old {secrets.token_hex(4)}"
        created = engine.post("/api/public/datasets", json={"name": name}).json()
        assert (created["items"], created["runs"]) == ([], [])
        item = engine.post("/api/public/dataset-items", json={"datasetName": name, "input": 1}).json()
        run = {"runName": "r", "datasetItemId": item["id"], "traceId": "t"}
        for _ in range(2):
            engine.post("/api/public/dataset-run-items", json=run).raise_for_status()
        found = engine.get(f"/api/public/datasets/{name}").json()
        assert [one["id"] for one in found["items"]] == [item["id"]]
        assert found["runs"] == (["r"] if engine is dual else [])
        listed = engine.get("/api/public/datasets", params={"limit": 1}).json()["data"]
        assert [(one["name"], one["items"]) for one in listed] == [(name, [item["id"]])]
    # An item that was answered twice stands in its run once.
    answered = dual.get("/api/public/dataset-run-items", params={"datasetId": found["id"], "runName": "r"})
    assert answered.status_code == 404
    one = dual.get("/api/public/datasets").json()["data"][0]
    run_items = dual.get(f"/api/public/datasets/{one['name']}/runs/r").json()["datasetRunItems"]
    assert len(run_items) == 1


def test_prompts_of_version_1_are_active_in_production(client: httpx.Client) -> None:
    name = f"old{secrets.token_hex(4)}"
    created = client.post("/api/public/prompts", json={"name": name, "prompt": "p", "isActive": True})
    assert (created.status_code, created.json()["isActive"]) == (201, True)
    client.post("/api/public/prompts", json={"name": name, "prompt": "q", "isActive": False})
    assert client.get("/api/public/prompts", params={"name": name}).json()["prompt"] == "p"
    assert client.get("/api/public/prompts", params={"name": name, "version": 2}).json()["isActive"] is False
    assert client.get("/api/public/prompts", params={"name": "none"}).status_code == 404


def test_refused_events_leave_a_line_that_names_the_sdk_and_what_to_do(start_engine: StartEngine) -> None:
    engine = start_engine()
    event = {"id": "e", "type": "trace-create", "timestamp": _MOMENT, "body": {}}
    headers = {"x-langfuse-sdk-name": "javascript", "x-langfuse-sdk-version": "3.39.0"}
    engine.client.post(_BATCH, json={"batch": [event]}, headers=headers)
    line = next(line for line in engine.log().splitlines() if "Rejected 1 event" in line)
    assert "SDK javascript 3.39.0" in line
    assert "LANGFUSE_MIGRATION_V4_WRITE_MODE=dual" in line


@pytest.mark.parametrize(
    ("first", "second", "field", "value"),
    [
        ({"comment": "c"}, {}, "comment", "c"),
        ({"comment": "c"}, {"comment": None}, "comment", None),
        ({"queueId": "q"}, {}, "queueId", None),
        ({"environment": "one"}, {"environment": "two"}, "environment", "one"),
        ({"metadata": {"l": [1, 2]}}, {"metadata": {"l": [9], "n": 1}}, "metadata", {"l": [9, 2], "n": 1}),
    ],
)
def test_a_score_that_is_sent_again_changes_what_it_says(
    client: httpx.Client, first: dict[str, Any], second: dict[str, Any], field: str, value: Any
) -> None:
    score = {"id": secrets.token_hex(8), "traceId": "t", "name": "n", "value": 1}
    for body in (score | first, score | second):
        client.post("/api/public/scores", json=body).raise_for_status()
    query = {"id": score["id"], "fields": "core,details,subject,annotation"}
    [found] = client.get("/api/public/v3/scores", params=query).json()["data"]
    assert found[field] == value


def test_of_scores_in_a_batch_the_latest_counts(client: httpx.Client) -> None:
    score = {"id": secrets.token_hex(8), "traceId": "t"}
    _send(
        client,
        ("score-create", "2026-03-02T00:00:00Z", score | {"name": "newer", "value": 2}),
        ("score-create", "2026-03-01T00:00:00Z", score | {"name": "older", "value": 1}),
    )
    [found] = client.get("/api/public/v3/scores", params={"id": score["id"]}).json()["data"]
    assert (found["name"], found["value"], found["timestamp"]) == ("newer", 2, "2026-03-01T00:00:00.000Z")


def test_the_address_that_old_sdks_print_leads_to_the_trace(start_engine: StartEngine) -> None:
    engine = start_engine(LANGFUSE_INIT_USER_EMAIL=EMAIL, LANGFUSE_INIT_USER_PASSWORD=PASSWORD)
    trace = trace_id()
    send(engine.client, span(trace))
    with visitor(engine.base_url) as viewer:
        answer = viewer.get(f"/trace/{trace}", follow_redirects=False)
        assert answer.status_code == 303
        assert answer.headers["location"] == f"/project/{engine.keys.project_id}/traces/{trace}"
        assert viewer.get(f"/trace/{trace_id()}", follow_redirects=False).status_code == 404
