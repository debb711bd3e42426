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

MODEL = "gpt-4o-mini"
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
    answer = model.post("/chat/completions", json={"model": MODEL, "messages": messages, **options})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def text(model: httpx.Client, question: str, system: str = "", **options: Any) -> str:
    return str(ask(model, question, system, **options)["choices"][0]["message"]["content"])


def test_it_repeats_the_question_and_counts_words(model: httpx.Client) -> None:
    found = ask(model, "Where is Athens?")
    assert found["choices"][0]["message"]["content"] == "You said: Where is Athens?"
    assert found["usage"] == {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}


@pytest.mark.parametrize(
    ("question", "answer"),
    [("1 + 1 = ", "2"), ("7*6=", "42"), ("3 - -4 =", "7"), ("1 + 1", "You said: 1 + 1")],
)
def test_it_calculates_what_ends_in_an_equals_sign(model: httpx.Client, question: str, answer: str) -> None:
    assert text(model, question) == answer


def test_it_says_how_often_it_was_asked_the_same(model: httpx.Client) -> None:
    said = [{"role": "user", "content": text} for text in ("More", "Less", "More")]
    answer = model.post("/chat/completions", json={"model": MODEL, "messages": said}).json()
    assert answer["choices"][0]["message"]["content"] == "You said 2 times: More"


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
    assert json.loads(call["function"]["arguments"]) == {"to": "Letters", "pages": 1, "tone": "warm"}


def test_with_a_tool_result_it_answers_in_words(model: httpx.Client) -> None:
    messages = [{"role": "user", "content": "Fix it"}, {"role": "tool", "content": "done"}]
    found = model.post(
        "/chat/completions", json={"model": MODEL, "messages": messages, "tools": TOOLS}
    ).json()
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


def _verdict(**score: Any) -> dict[str, Any]:
    properties = {"reasoning": {"type": "string"}, "score": score}
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "json_schema", "json_schema": {"name": "response", "schema": schema}}


@pytest.mark.parametrize(
    ("score", "right", "wrong"),
    [
        ({"type": "number"}, 1, 0),
        ({"type": "number", "minimum": 1, "maximum": 5}, 5, 1),
        ({"type": "integer", "minimum": 0, "maximum": 10}, 10, 0),
        ({"type": "boolean"}, True, False),
        ({"type": "string", "enum": ["good", "fair", "bad"]}, "good", "bad"),
        ({"type": "array", "items": {"enum": ["good", "bad"]}, "minItems": 1}, ["good"], ["bad"]),
        ({"anyOf": [{"type": "number"}, {"type": "null"}]}, 1, 0),
        ({"const": "read"}, "read", "read"),
        ({"type": ["boolean", "null"]}, True, False),
    ],
)
def test_asked_for_a_schema_it_judges_in_that_form(
    model: httpx.Client, score: dict[str, Any], right: Any, wrong: Any
) -> None:
    for answer, expected, words in (("Rome lies in Italy", right, "3 of 3"), ("Who knows", wrong, "0 of 1")):
        question = f"Judge.\nReference: Rome lies in Italy\nAnswer: {answer}"
        found = json.loads(text(model, question, response_format=_verdict(**score)))
        assert found == {
            "reasoning": f"{words} words of the answer are in the reference",
            "score": expected,
        }
        form = _verdict(**score)
        wanted = {"type": "json_schema", "name": "response", "schema": form["json_schema"]["schema"]}
        assert json.loads(respond(model, question, text={"format": wanted})["content"][0]["text"]) == found


def test_a_schema_may_refer_to_its_parts(model: httpx.Client) -> None:
    schema = {
        "$defs": {"step": {"type": "object", "properties": {"done": {"type": "boolean"}}}},
        "properties": {"steps": {"type": "array", "items": {"$ref": "#/$defs/step"}, "minItems": 2}},
    }
    form = {"type": "json_schema", "json_schema": {"name": "plan", "schema": schema}}
    found = json.loads(text(model, "Plan", response_format=form))
    assert found == {"steps": [{"done": False}, {"done": False}]}


def respond(model: httpx.Client, given: Any, **options: Any) -> dict[str, Any]:
    """Return the only item that the responses API puts out."""
    answer = model.post("/responses", json={"model": MODEL, "input": given, **options})
    assert answer.status_code == 200, answer.text
    [item] = answer.json()["output"]
    found: dict[str, Any] = item
    return found


RESPONSE_TOOLS = [{"type": "function", **tool["function"]} for tool in TOOLS]  # type: ignore[dict-item]


def test_the_responses_api_answers_calls_tools_and_ends(model: httpx.Client) -> None:
    asked = {"role": "user", "content": [{"type": "input_text", "text": "Fix the code"}]}
    assert respond(model, [asked])["content"][0]["text"] == "You said: Fix the code"
    call = respond(model, [asked], tools=RESPONSE_TOOLS)
    assert (call["type"], call["name"], call["arguments"]) == ("function_call", "coder", "{}")
    result = {"type": "function_call_output", "call_id": call["call_id"], "output": "fixed"}
    ended = respond(model, [asked, call, result], tools=RESPONSE_TOOLS)
    assert ended["content"][0]["text"] == "You said: Fix the code"
    again = respond(model, [asked, call, result, asked], tools=RESPONSE_TOOLS)
    assert again["type"] == "function_call"


@pytest.mark.parametrize("tools", [[], RESPONSE_TOOLS])
def test_a_streamed_response_ends_with_the_whole(model: httpx.Client, tools: list[dict[str, Any]]) -> None:
    body = {"model": MODEL, "input": "Fix the code", "tools": tools}
    whole = model.post("/responses", json=body).json()
    parts = model.post("/responses", json={**body, "stream": True}).text.strip().split("\n\n")
    events = [json.loads(part.split("\ndata: ")[1]) for part in parts]
    assert [part.split("\n")[0] for part in parts] == [f"event: {event['type']}" for event in events]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert (events[-1]["type"], events[-1]["response"]) == ("response.completed", whole)
    deltas = "".join(event["delta"] for event in events if event["type"].endswith(".delta"))
    assert deltas == ("{}" if tools else "You said: Fix the code")


def test_a_prompt_is_completed_whole_and_in_pieces(model: httpx.Client) -> None:
    body = {"model": "gpt-3.5-turbo-instruct", "prompt": "Say this"}
    whole = model.post("/completions", json=body).json()
    assert whole["choices"][0]["text"] == "You said: Say this"
    assert whole["usage"] == {"prompt_tokens": 2, "completion_tokens": 4, "total_tokens": 6}
    streamed = {**body, "stream": True, "stream_options": {"include_usage": True}}
    lines = model.post("/completions", json=streamed).text.split("\n\n")
    assert lines[-2] == "data: [DONE]"
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]
    assert "".join(choice["text"] for chunk in chunks for choice in chunk["choices"]) == "You said: Say this"
    assert chunks[-1]["usage"] == whole["usage"]


@pytest.mark.parametrize("path", ["/chat/completions", "/responses", "/completions", "/embeddings"])
def test_a_model_of_no_known_family_does_not_exist(model: httpx.Client, path: str) -> None:
    body = {"model": "no-such-model", "messages": [], "input": "x", "prompt": "x"}
    answer = model.post(path, json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize("path", ["/chat/completions", "/responses"])
def test_a_model_that_completes_prompts_does_not_chat(model: httpx.Client, path: str) -> None:
    body = {"model": "gpt-3.5-turbo-instruct", "messages": [], "input": "x"}
    assert model.post(path, json=body).status_code == 404


def test_a_named_tool_is_called_and_none_if_so_asked(model: httpx.Client) -> None:
    named = {"type": "function", "function": {"name": "writer"}}
    [choice] = ask(model, "Fix the code", tools=TOOLS, tool_choice=named)["choices"]
    assert choice["message"]["tool_calls"][0]["function"]["name"] == "writer"
    assert text(model, "Fix the code", tools=TOOLS, tool_choice="none") == "You said: Fix the code"


def test_functions_of_the_first_clients_are_called(model: httpx.Client) -> None:
    functions = [tool["function"] for tool in TOOLS]
    [choice] = ask(model, "Fix", functions=functions, function_call={"name": "writer"})["choices"]
    assert (choice["finish_reason"], choice["message"]["function_call"]["name"]) == (
        "function_call",
        "writer",
    )


def test_a_stream_has_the_same_words_and_the_usage_when_asked_for(model: httpx.Client) -> None:
    body = {
        "model": MODEL,
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
    answer = model.post("/embeddings", json={"model": MODEL, "input": texts}).json()
    one, same, other = (row["embedding"] for row in answer["data"])

    def similarity(first: list[float], second: list[float]) -> float:
        return sum(a * b for a, b in zip(first, second, strict=True))

    assert similarity(one, one) == pytest.approx(1)
    assert similarity(one, same) == pytest.approx(1)
    assert similarity(one, other) < 0.5


def test_packed_embeddings_are_the_same(model: httpx.Client) -> None:
    body = {"model": MODEL, "input": "Athens"}
    plain, packed = (
        model.post("/embeddings", json={**body, **form}).json()["data"][0]["embedding"]
        for form in ({}, {"encoding_format": "base64"})
    )
    floats = struct.unpack(f"<{len(plain)}f", base64.b64decode(packed))
    assert list(floats) == pytest.approx(plain)


@pytest.mark.parametrize("status", [429, 500])
def test_an_error_can_be_asked_for(model: httpx.Client, status: int) -> None:
    messages = [{"role": "user", "content": f"fail with {status}"}]
    answer = model.post("/chat/completions", json={"model": MODEL, "messages": messages})
    assert (answer.status_code, answer.json()["error"]["message"]) == (status, "This error was asked for")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/chat/completions", b"{", 400),
        ("/chat/completions", b"{}", 400),
        ("/chat/completions", b'{"model": "gpt-4o"}', 400),
        ("/responses", b'{"model": "gpt-4o"}', 400),
        ("/completions", b'{"model": "gpt-4o"}', 400),
        ("/images", b"{}", 404),
    ],
)
def test_what_cannot_be_answered_is_refused(model: httpx.Client, path: str, body: bytes, status: int) -> None:
    assert model.post(path, content=body).status_code == status


def test_rules_of_a_test_come_first_until_they_are_taken_back(model: httpx.Client) -> None:
    schema = {
        "type": "object",
        "properties": {"reasoning": {"type": "string"}, "score": {"type": "number", "maximum": 1}},
    }
    form = {"type": "json_schema", "json_schema": {"name": "response", "schema": schema}}
    rules = [
        {"contains": "Paris", "answer": {"score": 0.25}},
        {"model": "gpt-broken", "content": "no JSON"},
        {"key": "sk-wrong", "status": 401, "message": "Incorrect API key provided: wrong"},
    ]
    address = str(model.base_url).removesuffix("/v1/")
    before = httpx.get(f"{address}/rules").json()["questions"]
    assert httpx.put(f"{address}/rules", json=rules).json()["rules"] == rules
    try:
        question = "Reference: Athens\nAnswer: Athens, not Paris"
        judged = json.loads(text(model, question, response_format=form))
        assert (judged["score"], judged["reasoning"]) == (
            0.25,
            "1 of 2 words of the answer are in the reference",
        )
        assert (
            json.loads(text(model, "Reference: Athens\nAnswer: Athens", response_format=form))["score"] == 1
        )
        body = {"model": "gpt-broken", "messages": [{"role": "user", "content": "Hello"}]}
        broken = model.post("/chat/completions", json=body).json()
        assert broken["choices"][0]["message"]["content"] == "no JSON"
        refused = model.post("/chat/completions", json=body, headers={"authorization": "Bearer sk-wrong"})
        # The first rule that fits answers.
        assert refused.status_code == 200
        body["model"] = MODEL
        refused = model.post("/chat/completions", json=body, headers={"authorization": "Bearer sk-wrong"})
        assert (refused.status_code, refused.json()["error"]["message"]) == (401, rules[2]["message"])
        assert httpx.get(f"{address}/rules").json()["questions"] == before + 5
    finally:
        httpx.put(f"{address}/rules", json=[])
    assert httpx.put(f"{address}/rules", json={"not": "a list"}).status_code == 400


def test_a_tool_that_must_be_called_is_called_as_anthropic_does(model: httpx.Client) -> None:
    schema = {"type": "object", "properties": {"reasoning": {"type": "string"}, "score": {"type": "boolean"}}}
    answer = model.post(
        "/messages",
        json={
            "model": "claude-haiku-4-5",
            "max_tokens": 100,
            "messages": [{"role": "user", "content": "Reference: Athens\nAnswer: Athens"}],
            "tools": [{"name": "json", "input_schema": schema}],
            "tool_choice": {"type": "tool", "name": "json"},
        },
    ).json()
    assert answer["content"][0]["input"] == {
        "reasoning": "1 of 1 words of the answer are in the reference",
        "score": True,
    }
    assert answer["usage"] == {"input_tokens": 4, "output_tokens": 14}
