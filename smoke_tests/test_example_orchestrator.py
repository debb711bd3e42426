"""The orchestrator example: who was chosen, when an agent was left alone, what it cost; all read back."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from smoke_tests.helpers.examples import EXAMPLES, result_of, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from smoke_tests.helpers.server import Row, Server
    from smoke_tests.helpers.target import Target

pytestmark = [
    pytest.mark.skipif(not EXAMPLES.is_dir(), reason=f"the examples are not at {EXAMPLES}"),
    pytest.mark.usefixtures("needs_scores"),
]

TASKS = 16
AGENTS = {"careful-coder", "quick-coder", "shaky-coder"}


@pytest.fixture(scope="module")
def session(target: Target, unique: Callable[[str], str]) -> dict[str, Any]:
    """What the example printed of one session."""
    arguments = ("--tasks", str(TASKS), "--seed", "7", "--session", unique("coding"))
    return result_of(target, "orchestrator.py", *arguments)


@pytest.fixture(scope="module")
def traces(session: dict[str, Any], server: Server) -> dict[str, list[Row]]:
    """The observations of each task."""
    return {task["trace_id"]: server.observations(traceId=task["trace_id"]) for task in session["tasks"]}


def of(rows: list[Row], kind: str) -> list[Row]:
    return [row for row in rows if row["type"] == kind]


def test_every_attempt_is_an_agent_with_one_priced_call(
    session: dict[str, Any], traces: dict[str, list[Row]]
) -> None:
    for task in session["tasks"]:
        rows = traces[task["trace_id"]]
        # No agent tries a task twice; what happened within one millisecond has no order.
        runs = {row["name"]: row for row in of(rows, "AGENT")}
        assert {row["traceName"] for row in rows} == {task["type"]}
        assert runs.keys() == {attempt["agent"] for attempt in task["attempts"]}
        for attempt in task["attempts"]:
            one = runs[attempt["agent"]]
            [call] = [row for row in rows if row["parentObservationId"] == one["id"]]
            assert (call["type"], call["metadata"]["agent"]) == ("GENERATION", attempt["agent"])
            assert call["totalCost"] == pytest.approx(attempt["cost"])
            assert one["level"] == ("DEFAULT" if attempt["success"] else "ERROR")


def test_every_attempt_is_scored(session: dict[str, Any], server: Server) -> None:
    for task in session["tasks"][:5]:
        scores = server.await_scores(4 * len(task["attempts"]), traceId=task["trace_id"])
        by_run: dict[str, dict[str, Any]] = {}
        for score in scores:
            by_run.setdefault(score["subject"]["id"], {})[score["name"]] = score["value"]
        found = sorted((one["task_success"], one["quality"], one["reward"]) for one in by_run.values())
        told = sorted((one["success"], one["quality"], one["reward"]) for one in task["attempts"])
        for read, printed in zip(found, told, strict=True):
            assert read == pytest.approx(printed)
        for one in by_run.values():
            assert 0 <= one["cost-efficiency"] <= 1


def test_a_failed_attempt_is_followed_by_a_switch(
    session: dict[str, Any], traces: dict[str, list[Row]]
) -> None:
    switches = 0
    for task in session["tasks"]:
        agents = [attempt["agent"] for attempt in task["attempts"]]
        events = [row for row in of(traces[task["trace_id"]], "EVENT") if row["name"] == "agent_switch"]
        moves = [(event["metadata"]["before"], event["metadata"]["after"]) for event in events]
        assert sorted(moves) == sorted(itertools.pairwise(agents))
        switches += len(moves)
    assert switches > 0


def test_an_open_circuit_breaker_keeps_an_agent_out_until_it_is_half_open(
    session: dict[str, Any], traces: dict[str, list[Row]]
) -> None:
    """The seed was chosen so that a breaker opens, lets an agent try again, and closes."""
    state = dict.fromkeys(AGENTS, "closed")
    seen = set[str]()
    for task in session["tasks"]:
        rows = traces[task["trace_id"]]
        for agent in AGENTS:
            events = {
                row["metadata"]["state"]
                for row in rows
                if row["name"] == "circuit_breaker" and row["metadata"]["agent"] == agent
            }
            ran = agent in {row["name"] for row in of(rows, "AGENT")}
            if state[agent] == "open":
                assert "closed" not in events or "half-open" in events
                assert not ran or "half-open" in events
            else:
                assert "half-open" not in events
            outcome = events - {"half-open"} or events
            assert len(outcome) <= 1
            state[agent] = next(iter(outcome), state[agent])
            seen |= events
    assert seen == {"open", "half-open", "closed"}


def test_the_sums_that_langfuse_tells_are_those_of_the_attempts(session: dict[str, Any]) -> None:
    attempts = [attempt for task in session["tasks"] for attempt in task["attempts"]]
    assert session["agents"].keys() == {attempt["agent"] for attempt in attempts} == AGENTS
    for agent, sums in session["agents"].items():
        own = [attempt for attempt in attempts if attempt["agent"] == agent]
        assert len(own) == session["attempts"][agent]
        assert sums["cost"] == pytest.approx(sum(one["cost"] for one in own))
        assert sums["task_success"] == pytest.approx(sum(one["success"] for one in own) / len(own))
        assert sums["quality"] == pytest.approx(sum(one["quality"] for one in own) / len(own))
        assert sums["tokens"] > 0
    assert session["spent"] == pytest.approx(sum(one["cost"] for one in attempts))


def test_a_spent_budget_stops_the_work(target: Target, server: Server, unique: Callable[[str], str]) -> None:
    session_id = unique("coding")
    arguments = ("--tasks", "6", "--budget", "0.003", "--session", session_id)
    result = result_of(target, "orchestrator.py", *arguments)
    assert 0 < result["spent"] <= 0.003
    refused = [task for task in result["tasks"] if not task["done"]]
    assert refused
    rows = server.observations(traceId=refused[-1]["trace_id"])
    [event] = of(rows, "EVENT")
    assert (event["name"], event["level"]) == ("budget_exhausted", "ERROR")
    assert event["metadata"]["left_usd"] == pytest.approx(0.003 - result["spent"], abs=1e-6)


def test_a_budget_of_nothing_is_refused(target: Target) -> None:
    done = run(target, "orchestrator.py", "--budget", "0")
    assert done.returncode == 2
    assert "--budget must be more than 0" in done.stderr
