"""examples/observer.py, copied as it stands into an asynchronous application."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from .conftest import RunApp


@pytest.fixture(scope="module")
def cached() -> dict[str, Any]:
    """What the application told, once."""
    return {}


@pytest.fixture
def facts(run_app: RunApp, cached: dict[str, Any]) -> dict[str, Any]:
    """What the application told."""
    if not cached:
        cached.update(run_app("observer_app"))
    return cached


def rows_of(client: httpx.Client, trace_id: str) -> list[dict[str, Any]]:
    query = {"traceId": trace_id, "fields": "core,basic,io,metadata,usage,trace_context"}
    answer = client.get("/api/public/v2/observations", params=query)
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()["data"]
    return rows


def scores_of(client: httpx.Client, trace_id: str) -> dict[tuple[str, str], Any]:
    names = {row["id"]: row["name"] for row in rows_of(client, trace_id)}
    answer = client.get("/api/public/v3/scores", params={"traceId": trace_id, "fields": "subject"})
    assert answer.status_code == 200, answer.text
    return {(names[one["subject"]["id"]], one["name"]): one["value"] for one in answer.json()["data"]}


def test_concurrent_and_nested_runs_keep_their_own_calls(facts: dict[str, Any], client: httpx.Client) -> None:
    sessions = set()
    for trace_id in facts["tasks"]:
        rows = rows_of(client, trace_id)
        names = {row["id"]: row["name"] for row in rows}
        calls = [row for row in rows if row["type"] == "GENERATION"]
        found = sorted((names[call["parentObservationId"]], call["metadata"]["agent"]) for call in calls)
        assert found == [("coder", "coder"), ("planner", "planner"), ("planner", "planner")]
        assert {row["name"]: row["metadata"]["agent"] for row in rows if row["type"] == "AGENT"} == {
            "planner": "planner",
            "coder": "coder",
        }
        inputs = {row["name"]: row["input"] for row in rows if row["type"] in ("CHAIN", "AGENT")}
        assert inputs == {"bug_fix": "t", "planner": "plan", "coder": "code"}
        [session] = {row["sessionId"] for row in rows}
        sessions.add(session)
        cost = {call["metadata"]["agent"]: 0.0 for call in calls}
        for call in calls:
            cost[call["metadata"]["agent"]] += call["totalCost"]
        assert cost == pytest.approx({"planner": 0.005, "coder": 0.00015})
    assert sessions == {"observed-0", "observed-1", "observed-2"}


def test_a_run_is_scored_by_what_came_of_it(facts: dict[str, Any], client: httpx.Client) -> None:
    # A reward is 70 % quality, and 30 % less what the run took of its budget: 0.005 of 0.05 USD.
    assert scores_of(client, facts["tasks"][0]) == {
        ("planner", "task_success"): True,
        ("planner", "quality"): 1,
        ("planner", "reward"): pytest.approx(0.7 + 0.3 * 0.9),
        ("coder", "task_success"): True,
        ("coder", "quality"): 0.5,
        ("coder", "reward"): pytest.approx(0.35 + 0.3),
    }
    assert facts["best"] == "planner"


def test_an_agent_that_fails_is_left_alone_and_tried_again(
    facts: dict[str, Any], client: httpx.Client
) -> None:
    assert facts["chosen"] == [None, "shaky", None]
    rows = rows_of(client, facts["failed"])
    breaker = sorted(
        (row["metadata"]["state"], row["level"]) for row in rows if row["name"] == "circuit_breaker"
    )
    assert breaker == [("closed", "WARNING"), ("half-open", "WARNING"), ("open", "ERROR")]
    runs = [row for row in rows if row["type"] == "AGENT"]
    assert sorted(row["level"] for row in runs) == ["DEFAULT", "ERROR", "ERROR", "ERROR"]
    switches = [row["metadata"] for row in rows if row["name"] == "agent_switch"]
    moves = [(one["before"], one["after"], one["why"]) for one in switches]
    assert moves == [("shaky", "planner", "no tests")] * 3
