"""All ten observation types, errors, and the decorator with nested asynchronous calls."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Literal

import pytest
from langfuse import observe, propagate_attributes

if TYPE_CHECKING:
    from collections.abc import Callable

    from langfuse import Langfuse

    from smoke_tests.helpers.server import Server

SPAN_LIKE = ["span", "agent", "tool", "chain", "retriever", "guardrail", "evaluator"]
LEVELS: tuple[Literal["DEBUG", "WARNING", "ERROR"], ...] = ("DEBUG", "WARNING", "ERROR")
WITH_MODEL = ["generation", "embedding"]


def test_all_ten_observation_types_arrive_as_what_they_are(langfuse: Langfuse, server: Server) -> None:
    create: Any = langfuse.start_observation  # its overloads do not take a variable type
    with langfuse.start_as_current_observation(name="all-types") as root:
        for kind in SPAN_LIKE:
            create(name=f"a-{kind}", as_type=kind, input=kind).end()
        for kind in WITH_MODEL:
            usage = {"input": 7}
            create(name=f"a-{kind}", as_type=kind, model="text-embedding-3-small", usage_details=usage).end()
        langfuse.create_event(name="an-event", input="event")
    langfuse.flush()

    types = {f"a-{kind}": kind.upper() for kind in [*SPAN_LIKE, *WITH_MODEL]}
    types |= {"an-event": "EVENT", "all-types": "SPAN"}
    rows = server.await_observations(list(types), traceId=root.trace_id)
    assert {name: row["type"] for name, row in rows.items()} == types
    assert {row["parentObservationId"] for name, row in rows.items() if name != "all-types"} == {root.id}
    assert rows["a-tool"]["input"] == "tool"
    assert rows["an-event"]["input"] == "event"
    for kind in WITH_MODEL:
        row = rows[f"a-{kind}"]
        assert row["model"] == "text-embedding-3-small"
        assert row["usageDetails"] == {"input": 7, "total": 7}
        assert row["totalCost"] > 0


def test_an_exception_marks_its_observation_as_an_error_and_not_the_caller(
    langfuse: Langfuse, server: Server
) -> None:
    with langfuse.start_as_current_observation(name="survivor") as root:
        with (
            pytest.raises(ValueError, match="no such album"),
            langfuse.start_as_current_observation(name="failing", as_type="tool"),
        ):
            raise ValueError("no such album")
        root.update(output="recovered")
    langfuse.flush()

    rows = server.await_observations(["survivor", "failing"], traceId=root.trace_id)
    assert rows["failing"]["level"] == "ERROR"
    assert "no such album" in rows["failing"]["statusMessage"]
    assert (rows["survivor"]["level"], rows["survivor"]["output"]) == ("DEFAULT", "recovered")


def test_level_and_status_message_come_back_and_errors_can_be_listed(
    langfuse: Langfuse, server: Server
) -> None:
    with langfuse.start_as_current_observation(name="levels") as root:
        for level in LEVELS:
            message = f"{level.lower()} message"
            root.start_observation(
                name=level.lower(), as_type="span", level=level, status_message=message
            ).end()
    langfuse.flush()

    rows = server.await_observations(["levels", "debug", "warning", "error"], traceId=root.trace_id)
    assert {name: row["level"] for name, row in rows.items()} == {
        "levels": "DEFAULT",
        "debug": "DEBUG",
        "warning": "WARNING",
        "error": "ERROR",
    }
    assert rows["warning"]["statusMessage"] == "warning message"
    errors = server.observations(traceId=root.trace_id, level="ERROR")
    assert [row["name"] for row in errors] == ["error"]


def test_decorated_asynchronous_calls_nest_as_they_were_called(
    langfuse: Langfuse, server: Server, unique: Callable[[str], str]
) -> None:
    trace_ids: list[str | None] = []

    @observe(as_type="retriever")
    async def look_up(source: str) -> dict[str, str]:
        await asyncio.sleep(0)
        return {"source": source}

    @observe(as_type="generation")
    async def answer(question: str) -> str:
        await asyncio.sleep(0)
        langfuse.update_current_generation(model="gpt-4o", usage_details={"input": 30, "output": 5})
        return "John Smith"

    @observe(name="resolve")
    async def resolve(question: str) -> str:
        trace_ids.append(langfuse.get_current_trace_id())
        await asyncio.gather(look_up("musicbrainz"), look_up("discogs"))
        return await answer(question)

    user_id = unique("listener")
    with propagate_attributes(user_id=user_id):
        assert asyncio.run(resolve("Who played bass?")) == "John Smith"
    langfuse.flush()

    (trace_id,) = trace_ids
    assert trace_id is not None
    rows = server.await_count(4, traceId=trace_id)
    (root,) = (row for row in rows if row["name"] == "resolve")
    (generation,) = (row for row in rows if row["name"] == "answer")
    retrievers = [row for row in rows if row["name"] == "look_up"]
    assert root["parentObservationId"] is None
    assert {row["parentObservationId"] for row in [generation, *retrievers]} == {root["id"]}
    assert {row["type"] for row in retrievers} == {"RETRIEVER"}
    outputs = sorted(json.loads(row["output"])["source"] for row in retrievers)
    assert outputs == ["discogs", "musicbrainz"]
    assert json.loads(root["input"])["args"] == ["Who played bass?"]
    assert root["output"] == "John Smith"
    assert (generation["type"], generation["model"]) == ("GENERATION", "gpt-4o")
    assert generation["usageDetails"] == {"input": 30, "output": 5, "total": 35}
    assert {row["userId"] for row in rows} == {user_id}


def test_nested_agents_keep_metadata_apart_when_it_is_propagated_inside_of_each(
    langfuse: Langfuse, server: Server
) -> None:
    def work(agent: str, *inner: str) -> str:
        with (
            langfuse.start_as_current_observation(name=agent, as_type="agent") as run,
            propagate_attributes(metadata={"agent": agent}),
        ):
            if inner:
                work(*inner)
            langfuse.start_observation(name=f"{agent}-call", as_type="generation").end()
        return run.trace_id

    trace_id = work("planner", "coder", "tester")
    langfuse.flush()

    names = ["planner", "coder", "tester"]
    rows = server.await_observations([*names, *(f"{name}-call" for name in names)], traceId=trace_id)
    assert {name: row["metadata"]["agent"] for name, row in rows.items()} == {
        name: name.removesuffix("-call") for name in rows
    }


def test_a_decorated_function_that_raises_is_an_error_and_raises_on(
    langfuse: Langfuse, server: Server
) -> None:
    trace_ids: list[str | None] = []

    @observe(as_type="tool")
    async def explode() -> None:
        trace_ids.append(langfuse.get_current_trace_id())
        await asyncio.sleep(0)
        raise RuntimeError("source is down")

    with pytest.raises(RuntimeError, match="source is down"):
        asyncio.run(explode())
    langfuse.flush()
    (trace_id,) = trace_ids
    assert trace_id is not None
    (row,) = server.await_count(1, traceId=trace_id)
    assert (row["type"], row["level"], row["statusMessage"]) == ("TOOL", "ERROR", "source is down")
