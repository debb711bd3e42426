"""The stand-in for a model answers by its rules, through HTTP as clients ask it."""

from __future__ import annotations

import base64
import json
import struct
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from examples.fake_llm import serve

TOOLS = [
    {"type": "function", "function": {"name": "coder", "description": "Write and fix code"}},
    {
        "type": "function",
        "function": {
            "name": "writer",
            "description": "Write letters",
            "parameters": {
                "properties": {
                    "to": {"type": "string"},
                    "pages": {"type": "integer"},
                    "tone": {"enum": ["warm"]},
                },
                "required": ["to", "pages", "tone"],
            },
        },
    },
]


@pytest.fixture(scope="module")
def model() -> Iterator[httpx.Client]:
    """A client of a running stand-in."""
    server = serve(0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{server.server_port}/v1") as client:
        yield client
    server.shutdown()
    thread.join()
    server.server_close()


def ask(model: httpx.Client, question: str, system: str = "", **options: Any) -> dict[str, Any]:
    messages = [{"role": "system", "content": system}, {"role": "user", "content": question}]
    answer = model.post("/chat/completions", json={"model": "m", "messages": messages, **options})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def text(model: httpx.Client, question: str, system: str = "", **options: Any) -> str:
    return str(ask(model, question, system, **options)["choices"][0]["message"]["content"])


def test_it_repeats_the_question_and_counts_words(model: httpx.Client) -> None:
    found = ask(model, "Where is Athens?")
    assert found["choices"][0]["message"]["content"] == "You said: Where is Athens?"
    assert found["usage"] == {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}


def test_it_answers_with_the_line_of_the_context_that_fits_best(model: httpx.Client) -> None:
    system = "Help.\n\nContext:\nAthens lies in Greece.\n- Rome lies in Italy."
    assert text(model, "In which country does Rome lie?", system) == "Rome lies in Italy."
    assert text(model, "Who won?", system) == "I do not know."


@pytest.mark.parametrize(("question", "tool"), [("Fix the code", "coder"), ("Letters, please", "writer")])
def test_it_calls_the_tool_that_fits_best(model: httpx.Client, question: str, tool: str) -> None:
    [choice] = ask(model, question, tools=TOOLS)["choices"]
    [call] = choice["message"]["tool_calls"]
    assert (choice["finish_reason"], call["function"]["name"]) == ("tool_calls", tool)


def test_a_call_has_a_value_for_each_required_parameter(model: httpx.Client) -> None:
    [call] = ask(model, "Letters", tools=TOOLS)["choices"][0]["message"]["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {"to": "Athens", "pages": 1, "tone": "warm"}


def test_with_a_tool_result_it_answers_in_words(model: httpx.Client) -> None:
    messages = [{"role": "user", "content": "Fix it"}, {"role": "tool", "content": "done"}]
    found = model.post("/chat/completions", json={"model": "m", "messages": messages, "tools": TOOLS}).json()
    assert found["choices"][0]["message"] == {"role": "assistant", "content": "You said: Fix it"}


@pytest.mark.parametrize(
    ("answer", "score"),
    [("Rome lies in Italy", 1), ("Rome lies in Greece", 0.6667), ("Who knows", 0), ("", 0)],
)
def test_asked_for_json_it_judges_an_answer_by_its_reference(
    model: httpx.Client, answer: str, score: float
) -> None:
    question = f"Judge.\nReference: Rome lies in Italy\nAnswer: {answer}"
    assert json.loads(text(model, question, response_format={"type": "json_object"}))["score"] == score


def test_a_stream_has_the_same_words_and_the_usage_when_asked_for(model: httpx.Client) -> None:
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": "Where is Athens?"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    lines = model.post("/chat/completions", json=body).text.split("\n\n")
    assert lines[-2] == "data: [DONE]"
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]
    words = [choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"]]
    assert "".join(words) == "You said: Where is Athens?"
    assert chunks[-1]["usage"]["total_tokens"] == 8


def test_texts_with_the_same_words_are_nearer_than_others(model: httpx.Client) -> None:
    texts = ["The warranty of turntables", "turntable warranty", "Two editors"]
    answer = model.post("/embeddings", json={"model": "m", "input": texts}).json()
    one, same, other = (row["embedding"] for row in answer["data"])

    def similarity(first: list[float], second: list[float]) -> float:
        return sum(a * b for a, b in zip(first, second, strict=True))

    assert similarity(one, one) == pytest.approx(1)
    assert similarity(one, same) == pytest.approx(1)
    assert similarity(one, other) < 0.5


def test_packed_embeddings_are_the_same(model: httpx.Client) -> None:
    body = {"model": "m", "input": "Athens"}
    plain, packed = (
        model.post("/embeddings", json={**body, **form}).json()["data"][0]["embedding"]
        for form in ({}, {"encoding_format": "base64"})
    )
    floats = struct.unpack(f"<{len(plain)}f", base64.b64decode(packed))
    assert list(floats) == pytest.approx(plain)


@pytest.mark.parametrize("status", [429, 500])
def test_an_error_can_be_asked_for(model: httpx.Client, status: int) -> None:
    messages = [{"role": "user", "content": f"fail with {status}"}]
    answer = model.post("/chat/completions", json={"model": "m", "messages": messages})
    assert (answer.status_code, answer.json()["error"]["message"]) == (status, "This error was asked for")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [("/chat/completions", b"{", 400), ("/chat/completions", b"{}", 400), ("/images", b"{}", 404)],
)
def test_what_cannot_be_answered_is_refused(model: httpx.Client, path: str, body: bytes, status: int) -> None:
    assert model.post(path, content=body).status_code == status
