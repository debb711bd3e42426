"""What official and third-party Python clients send is stored as their users expect to find it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import ReadTrace, RunApp

ASKED = "Where is Athens?"  # the stand-in for a model hands this on to tools, too
QUESTION = [{"role": "user", "content": ASKED}]
ANSWER = f"You said: {ASKED}"
# 3 tokens in, 5 out, gpt-4o-mini.
USAGE = {"input": 3, "output": 5, "total": 8}
COST = 3 * 0.15e-6 + 5 * 0.6e-6


def parents(observations: dict[str, dict[str, Any]]) -> dict[str, str | None]:
    """Return the name of each observation's parent."""
    names = {one["id"]: name for name, one in observations.items()}
    return {name: names.get(one["parentObservationId"]) for name, one in observations.items()}


def test_plain_opentelemetry_spans_become_observations(run_app: RunApp, read_trace: ReadTrace) -> None:
    found = read_trace(run_app("opentelemetry_app")["trace_id"])
    assert parents(found) == {"answer": None, "chat": "answer", "lookup": "answer"}
    chat = found["chat"]
    assert (chat["type"], chat["model"]) == ("GENERATION", "gpt-4o-mini")
    assert json.loads(chat["input"]) == QUESTION
    assert chat["usageDetails"] == {"input": 1000, "output": 100, "total": 1100}
    assert chat["totalCost"] == pytest.approx(1000 * 0.15e-6 + 100 * 0.6e-6)
    assert (found["answer"]["userId"], found["answer"]["sessionId"]) == ("zeus", "otel-session")
    assert (found["lookup"]["level"], found["lookup"]["statusMessage"]) == ("ERROR", "no such city")
    assert chat["metadata"]["resourceAttributes.service.name"] == "plain-otel"


def test_the_openai_wrapper_records_calls_streams_tools_and_failures(
    run_app: RunApp, read_trace: ReadTrace
) -> None:
    told = run_app("openai_wrapper")
    assert (told["streamed"], told["status"]) == (ANSWER, 429)
    found = read_trace(told["trace_id"])
    calls = ("plain", "streamed", "with-tool", "embedded", "failed")
    assert parents(found) == {"openai-app": None} | dict.fromkeys(calls, "openai-app")
    assert json.loads(found["plain"]["output"]) == {"role": "assistant", "content": ANSWER}
    assert found["streamed"]["output"] == ANSWER
    for name in ("plain", "streamed"):
        assert (found[name]["type"], found[name]["model"]) == ("GENERATION", "gpt-4o-mini")
        assert json.loads(found[name]["input"]) == QUESTION
        assert found[name]["usageDetails"] == USAGE
        assert found[name]["totalCost"] == pytest.approx(COST)
    assert found["plain"]["modelParameters"]["temperature"] == 0.5
    call = json.loads(found["with-tool"]["output"])["tool_calls"][0]["function"]
    assert (call["name"], json.loads(call["arguments"])) == ("find_city", {"name": ASKED})
    assert (found["embedded"]["type"], found["embedded"]["usageDetails"]["input"]) == ("EMBEDDING", 1)
    assert found["failed"]["level"] == "ERROR"
    assert "This error was asked for" in found["failed"]["statusMessage"]


def test_the_langchain_handler_records_a_chain(run_app: RunApp, read_trace: ReadTrace) -> None:
    told = run_app("langchain_app")
    assert told["answer"] == ANSWER
    chain = read_trace(told["chain"])
    assert parents(chain) == {
        "chain-app": None,
        "RunnableSequence": "chain-app",
        "ChatPromptTemplate": "RunnableSequence",
        "ChatOpenAI": "RunnableSequence",
    }
    model = chain["ChatOpenAI"]
    assert (model["type"], model["model"], model["userId"]) == ("GENERATION", "gpt-4o-mini", "zeus")
    assert (json.loads(model["input"]), json.loads(model["output"])["content"]) == (QUESTION, ANSWER)
    assert model["usageDetails"] == USAGE
    assert model["totalCost"] == pytest.approx(COST)
    agent = read_trace(told["agent"])
    assert parents(agent) == {
        "agent-app": None,
        "LangGraph": "agent-app",
        "model": "LangGraph",
        "ChatOpenAI": "model",
        "tools": "LangGraph",
        "find_city": "tools",
    }
    assert (agent["find_city"]["type"], json.loads(agent["find_city"]["input"])) == (
        "TOOL",
        {"name": ASKED},
    )
    assert json.loads(agent["find_city"]["output"])["content"] == f"{ASKED} lies in Greece"
    assert told["final"] == ANSWER


@pytest.mark.parametrize(
    ("app", "name"), [("openinference_app", "ChatCompletion"), ("openllmetry_app", "openai.chat")]
)
def test_instrumentations_of_openai_become_priced_generations(
    run_app: RunApp, read_trace: ReadTrace, app: str, name: str
) -> None:
    found = read_trace(run_app(app)["trace_id"])
    assert parents(found) == {"root": None, name: "root"}
    chat = found[name]
    assert (chat["type"], chat["model"]) == ("GENERATION", "gpt-4o-mini")
    assert (chat["usageDetails"], chat["totalCost"]) == (USAGE, pytest.approx(COST))
    assert chat["modelParameters"]["temperature"] == 0.5
    assert "Where is Athens?" in chat["input"]
    assert ANSWER in chat["output"]


def test_an_agent_of_pydantic_ai_becomes_a_tree(run_app: RunApp, read_trace: ReadTrace) -> None:
    told = run_app("pydantic_ai_app")
    assert told["output"] == ANSWER
    found = read_trace(told["trace_id"])
    assert parents(found) == {
        "root": None,
        "geographer run": "root",
        "chat gpt-4o-mini": "geographer run",
        "find_city": "geographer run",
    }
    kinds = {name: one["type"] for name, one in found.items()}
    assert kinds == {
        "root": "SPAN",
        "geographer run": "AGENT",
        "chat gpt-4o-mini": "GENERATION",
        "find_city": "TOOL",
    }
    assert found["geographer run"]["output"] == ANSWER
    # The agent adds up the tokens of its model calls: counted twice they would cost twice.
    assert (found["geographer run"]["usageDetails"], found["geographer run"]["totalCost"]) == ({}, 0)
    assert found["chat gpt-4o-mini"]["usageDetails"] == {"input": 3, "output": 4, "total": 7}
    assert (found["find_city"]["input"], found["find_city"]["output"]) == (
        f'{{"name":"{ASKED}"}}',
        f"{ASKED} lies in Greece",
    )
