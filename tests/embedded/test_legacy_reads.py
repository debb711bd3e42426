"""`dual` mode: traces, observations and sessions as older clients read them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from .harness import RunningEngine
from .spans import send, span, span_id, trace_id

MORNING = 1_768_471_200_000  # 2026-01-15T10:00:00Z


@pytest.fixture(scope="module")
def dual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of an engine in `dual` mode that the tests of this module share."""
    running = RunningEngine(
        tmp_path_factory.mktemp("dual") / "data", {"LANGFUSE_MIGRATION_V4_WRITE_MODE": "dual"}
    ).start()
    yield running.client
    assert running.stop() == 0, running.log()


def get(client: httpx.Client, path: str, **query: Any) -> Any:
    """Return the body of an answer that must succeed."""
    answer = client.get(f"/api/public/{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def send_trace(client: httpx.Client, *, start: int = MORNING, **attributes: Any) -> tuple[str, str, str]:
    """Send a root of 1.5 s with a generation; return the ids of the trace, the root and the generation."""
    trace, root, chat = trace_id(), span_id(), span_id()
    common = {f"{key}": value for key, value in attributes.items()}
    send(
        client,
        span(
            trace,
            "agent",
            id=root,
            start=start,
            duration=1500,
            attributes={
                "langfuse.observation.input": '{"question": "Where?"}',
                "langfuse.observation.output": "In Athens",
                "langfuse.observation.metadata": '{"region": {"name": "eu"}, "n": 3}',
                **common,
            },
        ),
        span(
            trace,
            "chat",
            id=chat,
            parent=root,
            start=start + 100,
            duration=500,
            attributes={
                "langfuse.observation.type": "generation",
                "langfuse.observation.model.name": "gpt-4o",
                "langfuse.observation.usage_details": '{"input": 1000, "output": 100}',
                **common,
            },
        ),
    )
    return trace, root, chat


def attributes(name: str, **more: Any) -> dict[str, Any]:
    """Return the attributes of a trace called `name`."""
    return {"langfuse.trace.name": name, **more}


def test_a_trace_is_what_its_observations_say_together(dual: httpx.Client) -> None:
    given = {"user.id": "zeus", "session.id": "together", "langfuse.trace.tags": ["a", "b"]}
    trace, root, chat = send_trace(dual, **attributes("together", **given))
    found = get(dual, f"traces/{trace}")
    assert (found["id"], found["name"], found["userId"], found["sessionId"]) == (
        trace,
        "together",
        "zeus",
        "together",
    )
    assert (found["timestamp"], found["latency"]) == ("2026-01-15T10:00:00.000Z", 1.5)
    assert (found["input"], found["output"], found["tags"]) == (
        {"question": "Where?"},
        "In Athens",
        ["a", "b"],
    )
    assert found["metadata"]["region"] == {"name": "eu"}
    assert found["metadata"]["n"] == 3
    assert found["metadata"]["resourceAttributes"]["service.name"] == "kosmos"
    assert found["metadata"]["scope"]["name"] == "langfuse-sdk"
    assert found["totalCost"] == pytest.approx(1000 * 2.5e-6 + 100 * 10e-6)
    assert found["htmlPath"] == f"/project/kosmos-support/traces/{trace}"
    assert [one["id"] for one in found["observations"]] == [chat, root]
    assert (found["release"], found["version"], found["public"]) == (None, None, False)


def test_any_observation_may_add_to_its_trace(dual: httpx.Client) -> None:
    trace, root, child = trace_id(), span_id(), span_id()
    inner = {
        "langfuse.trace.metadata.step": "inner",
        "langfuse.trace.metadata.region": "eu",
        "langfuse.trace.input": '{"from": "inner"}',
        "langfuse.observation.input": "not of the trace",
        "langfuse.observation.metadata.own": "not of the trace",
        "langfuse.trace.tags": ["b", "c"],
    }
    outer = {
        "langfuse.trace.metadata.step": "outer",
        "langfuse.trace.output": "said of the trace",
        "langfuse.observation.output": "said of the root",
        "langfuse.trace.tags": ["a", "b"],
    }
    send(dual, span(trace, "inner", id=child, parent=root, attributes=inner))
    send(dual, span(trace, "outer", id=root, attributes=outer))
    found = get(dual, f"traces/{trace}")
    assert (found["input"], found["output"]) == ({"from": "inner"}, "said of the trace")
    said = {name: value for name, value in found["metadata"].items() if name in ("step", "region", "own")}
    assert said == {"step": "outer", "region": "eu"}
    own = {one["name"]: one["metadata"] for one in found["observations"]}
    assert own["inner"]["own"] == "not of the trace"
    assert "region" not in own["inner"]
    assert "step" not in own["outer"]
    assert found["tags"] == ["a", "b", "c"]
    named = [{"type": "string", "column": "id", "operator": "=", "value": trace}]
    listed = get(dual, "traces", filter=json.dumps(named))
    assert [(one["input"], one["tags"]) for one in listed["data"]] == [({"from": "inner"}, ["a", "b", "c"])]


@pytest.mark.parametrize(
    ("said", "name", "given", "metadata"),
    [
        # The server (OtelIngestionProcessor.ts at 4.16.0) notes only when and where such a trace began.
        ({}, None, None, {}),
        ({"langfuse.internal.is_app_root": True}, None, None, {}),
        ({"langfuse.internal.as_root": "false"}, None, None, {}),
        # The SDK makes a parent up for a trace id of the caller's choice, and says so.
        ({"langfuse.internal.as_root": True}, "step", "of the step", {"own": "kept"}),
        ({"langfuse.internal.as_root": "true"}, "step", "of the step", {"own": "kept"}),
        ({"langfuse.trace.name": "named"}, "named", None, {}),
        ({"langfuse.trace.input": "said"}, None, "said", {}),
        ({"langfuse.trace.metadata.region": "eu"}, None, None, {"region": "eu"}),
        ({"user.id": "zeus"}, None, None, {}),
    ],
)
def test_a_trace_of_which_only_a_step_arrived_is_what_the_step_says_of_it(
    dual: httpx.Client, said: dict[str, Any], name: str | None, given: str | None, metadata: dict[str, Any]
) -> None:
    trace, step, inner = trace_id(), span_id(), span_id()
    own = {"langfuse.observation.input": "of the step", "langfuse.observation.metadata.own": "kept"}
    send(dual, span(trace, "inner", id=inner, parent=step, attributes={"langfuse.observation.input": "in"}))
    send(dual, span(trace, "step", id=step, parent=span_id(), attributes={**own, **said}))
    named = [{"type": "string", "column": "id", "operator": "=", "value": trace}]
    [listed] = get(dual, "traces", filter=json.dumps(named))["data"]
    found = get(dual, f"traces/{trace}")
    for shown in (found, listed):
        of_sender = {key: value for key, value in shown["metadata"].items() if key in ("own", "region")}
        assert (shown["name"], shown["input"], of_sender) == (name, given, metadata)
        assert shown["userId"] == said.get("user.id")
        speaks = said.keys() & {"langfuse.trace.name", "user.id"} or name or given or metadata
        assert ("resourceAttributes" in shown["metadata"]) == bool(speaks)
    assert {one["name"]: one["input"] for one in found["observations"]} == {
        "inner": "in",
        "step": "of the step",
    }


@pytest.mark.parametrize(
    ("root", "child", "version"),
    [
        ({}, {}, None),
        ({"langfuse.version": "root"}, {}, "root"),
        ({"langfuse.version": "root"}, {"user.id": "zeus"}, "child"),
        ({}, {"session.id": "versions"}, "child"),
        ({}, {"langfuse.trace.tags": ["a"]}, "child"),
        ({}, {"langfuse.trace.name": "versions"}, "child"),
    ],
)
def test_the_version_of_a_step_is_that_of_its_trace_only_if_the_step_speaks_for_the_trace(
    dual: httpx.Client, root: dict[str, Any], child: dict[str, Any], version: str | None
) -> None:
    trace, top = trace_id(), span_id()
    send(dual, span(trace, "agent", id=top, attributes=root))
    send(dual, span(trace, "step", parent=top, attributes={"langfuse.version": "child", **child}))
    assert get(dual, f"traces/{trace}")["version"] == version
    query = {
        "view": "traces",
        "metrics": [{"measure": "count", "aggregation": "count"}],
        "dimensions": [{"field": "version"}],
        "filters": [{"column": "id", "type": "string", "operator": "=", "value": trace}],
        "fromTimestamp": "2020-01-01T00:00:00Z",
        "toTimestamp": "2100-01-01T00:00:00Z",
    }
    [row] = get(dual, "metrics", query=json.dumps(query))["data"]
    assert row["version"] == version


def test_observations_of_a_trace_carry_usage_cost_and_prices(dual: httpx.Client) -> None:
    trace, root, _ = send_trace(dual, **attributes("priced"))
    chat, agent = get(dual, f"traces/{trace}")["observations"]
    assert (chat["type"], chat["parentObservationId"], chat["latency"]) == ("GENERATION", root, 0.5)
    assert chat["usage"] == {"unit": "TOKENS", "input": 1000, "output": 100, "total": 1100}
    assert (chat["promptTokens"], chat["completionTokens"], chat["totalTokens"]) == (1000, 100, 1100)
    assert chat["calculatedTotalCost"] == pytest.approx(0.0035)
    assert (chat["inputPrice"], agent["inputPrice"]) == (2.5e-6, 0)
    assert (chat["modelParameters"], agent["modelParameters"]) == ({}, None)
    assert (agent["calculatedInputCost"], agent["calculatedTotalCost"]) == (None, 0)


def test_scores_are_shown_with_their_trace(dual: httpx.Client) -> None:
    trace, _, chat = send_trace(dual, **attributes("scored"))
    dual.post("/api/public/scores", json={"id": "legacy-1", "traceId": trace, "name": "ok", "value": 1})
    dual.post(
        "/api/public/scores",
        json={"id": "legacy-2", "traceId": trace, "observationId": chat, "name": "tone", "value": "warm"},
    )
    scores = {score["id"]: score for score in get(dual, f"traces/{trace}")["scores"]}
    assert {name: (score["value"], score["stringValue"]) for name, score in scores.items()} == {
        "legacy-1": (1, None),
        "legacy-2": (0, "warm"),
    }
    [listed] = get(dual, "traces", name="scored")["data"]
    assert sorted(listed["scores"]) == ["legacy-1", "legacy-2"]


def test_fields_leave_out_what_is_not_asked_for(dual: httpx.Client) -> None:
    trace, _, _ = send_trace(dual, **attributes("fields"))
    found = get(dual, f"traces/{trace}", fields="core,unknown")
    assert (found["observations"], found["scores"]) == ([], [])
    assert (found["latency"], found["totalCost"]) == (-1, -1)
    assert "input" not in found
    assert "observations" in get(dual, f"traces/{trace}", fields="unknown")


def test_traces_are_listed_newest_first_page_by_page(dual: httpx.Client) -> None:
    ids = [send_trace(dual, start=MORNING + n * 1000, **attributes("paged"))[0] for n in range(3)]
    first = get(dual, "traces", name="paged", limit=2)
    assert [trace["id"] for trace in first["data"]] == [ids[2], ids[1]]
    assert first["meta"] == {"page": 1, "limit": 2, "totalItems": 3, "totalPages": 2}
    second = get(dual, "traces", name="paged", limit=2, page=2)
    assert [trace["id"] for trace in second["data"]] == [ids[0]]
    upwards = get(dual, "traces", name="paged", orderBy="timestamp.asc")
    assert [trace["id"] for trace in upwards["data"]] == ids
    assert all(len(trace["observations"]) == 2 for trace in upwards["data"])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"userId": "athena"}, ["one"]),
        ({"sessionId": "filters-2"}, ["two"]),
        ({"tags": ["filters", "x"]}, ["one"]),
        ({"tags": "filters"}, ["one", "two"]),
        ({"tags": "filters", "environment": "staging"}, ["two"]),
        ({"tags": "filters", "environment": ["staging", "production"]}, ["one", "two"]),
        ({"tags": "filters", "release": "r1"}, ["one"]),
        ({"tags": "filters", "toTimestamp": "2026-01-15T11:00:00Z"}, ["one"]),
        ({"tags": "filters", "fromTimestamp": "2026-01-15T11:00:00Z"}, ["two"]),
        ({"filter": [["tags", "arrayOptions", "any of", ["x", "none"]]]}, ["one"]),
        ({"filter": [["name", "string", "=", "two"], ["sessionId", "string", "contains", "2"]]}, ["two"]),
        (
            {"filter": [["metadata", "stringObject", "=", "eu", "region.name"]], "tags": "filters"},
            ["one", "two"],
        ),
        ({"filter": [["latency", "number", ">", 100]], "tags": "filters"}, []),
    ],
)
def test_traces_are_filtered(dual: httpx.Client, query: dict[str, Any], expected: list[str]) -> None:
    if not get(dual, "traces", tags="filters")["data"]:
        one = {"user.id": "athena", "langfuse.trace.tags": ["filters", "x"], "langfuse.release": "r1"}
        send_trace(dual, **attributes("one", **one, **{"langfuse.environment": "production"}))
        two = {
            "session.id": "filters-2",
            "langfuse.trace.tags": ["filters"],
            "langfuse.environment": "staging",
        }
        send_trace(dual, start=MORNING + 7_200_000, **attributes("two", **two))
    if "filter" in query:
        names = ("column", "type", "operator", "value", "key")
        conditions = [dict(zip(names, one, strict=False)) for one in query["filter"]]
        query = {**query, "filter": json.dumps(conditions)}
    assert sorted(trace["name"] for trace in get(dual, "traces", **query)["data"]) == expected


def test_one_observation_is_read_by_its_id(dual: httpx.Client) -> None:
    trace, _, chat = send_trace(dual, **attributes("single"))
    found = get(dual, f"observations/{chat}")
    assert (found["id"], found["traceId"], found["name"], found["model"]) == (chat, trace, "chat", "gpt-4o")
    assert found["inputPrice"] == 2.5e-6


def test_observations_are_listed_and_filtered(dual: httpx.Client) -> None:
    trace, root, chat = send_trace(dual, **attributes("listed", **{"user.id": "hermes"}))
    assert [one["id"] for one in get(dual, "observations", traceId=trace)["data"]] == [chat, root]
    found = get(dual, "observations", userId="hermes", type="GENERATION")
    assert [one["id"] for one in found["data"]] == [chat]
    assert found["meta"] == {"page": 1, "limit": 50, "totalItems": 1, "totalPages": 1}
    second = get(dual, "observations", traceId=trace, limit=1, page=2)
    assert [one["id"] for one in second["data"]] == [root]
    assert second["meta"]["totalPages"] == 2
    assert second["data"][0]["inputPrice"] is None


def test_a_session_holds_its_traces_oldest_first(dual: httpx.Client) -> None:
    later, earlier = (
        send_trace(dual, start=start, **attributes("talk", **{"session.id": "talk"}))[0]
        for start in (MORNING + 1000, MORNING)
    )
    found = get(dual, "sessions/talk")
    assert (found["id"], found["projectId"], found["environment"]) == ("talk", "kosmos-support", "default")
    assert [trace["id"] for trace in found["traces"]] == [earlier, later]
    listed = get(dual, "sessions", limit=100)
    assert [session["id"] for session in listed["data"]].count("talk") == 1
    assert listed["meta"]["totalItems"] == len(listed["data"])


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("traces/nowhere", "Trace nowhere not found within authorized project"),
        ("observations/nowhere", "Observation with id nowhere not found"),
        ("sessions/nowhere", "Session not found within authorized project"),
    ],
)
def test_what_does_not_exist_is_not_found(dual: httpx.Client, path: str, message: str) -> None:
    answer = dual.get(f"/api/public/{path}")
    assert (answer.status_code, answer.json()) == (
        404,
        {"message": message, "error": "LangfuseNotFoundError"},
    )


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("traces", {"filter": "{"}),
        ("traces", {"filter": '[{"column": "planet", "type": "string", "operator": "=", "value": "x"}]'}),
        ("traces", {"limit": "101"}),
        ("observations", {"type": "PLANET"}),
        ("observations", {"fromStartTime": "yesterday"}),
        ("sessions", {"page": "0"}),
    ],
)
def test_what_cannot_be_asked_is_refused(dual: httpx.Client, path: str, query: dict[str, str]) -> None:
    assert dual.get(f"/api/public/{path}", params=query).status_code == 400


@pytest.mark.parametrize(
    ("order", "message", "issues"),
    [
        ("", None, []),
        ("timestamp.asc", None, []),
        ("timestamp.DESC.more", None, []),
        *((f"{column}.desc", None, []) for column in ("id", "name", "userId", "release", "version")),
        *((f"{column}.desc", None, []) for column in ("public", "bookmarked", "sessionId")),
        ("planet.asc", "Invalid order by column: planet", None),
        ("latency.asc", "Invalid order by column: latency", None),
        ("totalCost.desc", "Invalid order by column: totalCost", None),
        (".asc", "Invalid order by column: ", None),
        ("timestamp", "Invalid request data", [["orderBy", "order"]]),
        ("timestamp.up", "Invalid request data", [["orderBy", "order"]]),
        ("planet.", "Invalid request data", [["orderBy", "order"]]),
    ],
)
def test_traces_are_ordered_by_the_columns_of_the_server(
    dual: httpx.Client, order: str, message: str | None, issues: list[list[str]] | None
) -> None:
    answer = dual.get("/api/public/traces", params={"orderBy": order})
    if message is None:
        assert answer.status_code == 200
        return
    assert (answer.status_code, answer.json()["message"]) == (400, message)
    found = answer.json()["error"]
    assert found == "InvalidRequestError" if issues is None else [one["path"] for one in found] == issues


@pytest.mark.parametrize(
    "path", ["traces", "traces/x", "observations", "observations/x", "sessions", "sessions/x"]
)
def test_in_events_only_mode_legacy_reads_do_not_exist(client: httpx.Client, path: str) -> None:
    answer = client.get(f"/api/public/{path}")
    assert answer.status_code == 404
    assert "events_only mode" in answer.json()["message"]
