"""Tools: definitions and calls in every shape, and definitions that move from the metadata to the input."""

from __future__ import annotations

import json
from typing import Any

import pytest

from langfuse_embedded.otlp.event import Event
from tests.unit.otlp.spans import mapped, sdk

_NESTED = {"type": "function", "function": {"name": "search", "description": "d", "parameters": {"a": 1}}}
_FLAT = {"name": "search", "desc": "d", "inputSchema": {"a": 1}}
_STORED = {"search": '{"description":"d","parameters":"{\\"a\\":1}"}'}


def _observed(given: Any = None, answered: Any = None) -> Event:
    return sdk(
        {
            "langfuse.observation.input": json.dumps(given),
            "langfuse.observation.output": json.dumps(answered),
        }
    )


@pytest.mark.parametrize(
    "given",
    [
        {"tools": [_NESTED, _NESTED, {"nameless": 1}]},
        {"tools": [json.dumps(_FLAT)]},
        {"messages": [{"role": "user", "tools": [_FLAT]}]},
        [{"role": "tool", "content": _NESTED}],
    ],
)
def test_definitions_are_found_in_requests_and_messages(given: Any) -> None:
    assert _observed(given).tool_definitions == _STORED


@pytest.mark.parametrize(
    ("answered", "call"),
    [
        (
            {"tool_calls": [{"id": "c", "function": {"name": "search", "arguments": "{}"}}]},
            ("c", "{}", "function"),
        ),
        (
            {"tool_calls": json.dumps([{"id": "c", "name": "search", "args": {"q": 1.0}}])},
            ("c", '{"q":1}', ""),
        ),
        (
            {
                "choices": [
                    {"message": {"toolCalls": [{"toolCallId": "c", "toolName": "search", "input": {}}]}}
                ]
            },
            ("c", "{}", ""),
        ),
        (
            [
                {
                    "role": "assistant",
                    "content": [{"type": "tool_use", "id": "c", "name": "search", "input": {"q": 1}}],
                }
            ],
            ("c", '{"q":1}', "tool_use"),
        ),
        (
            {"content": [{"type": "tool-call", "toolCallId": "c", "toolName": "search", "args": {}}]},
            ("c", "{}", "tool-call"),
        ),
        (
            {"additional_kwargs": {"tool_calls": [{"id": "c", "name": "search", "arguments": "x"}]}},
            ("c", "x", ""),
        ),
        (
            [{"type": "function_call", "call_id": "c", "name": "search", "arguments": "{}"}],
            ("c", "{}", "function_call"),
        ),
        ({"name": "search", "arguments": {"q": 1}, "id": "c"}, ("c", '{"q":1}', "")),
    ],
)
def test_calls_are_found_in_every_shape(answered: Any, call: tuple[str, str, str]) -> None:
    event = _observed(answered=answered)
    identifier, arguments, kind = call
    assert event.tool_call_names == ["search"]
    assert [json.loads(text) for text in event.tool_calls] == [
        {"id": identifier, "arguments": arguments, "type": kind, "index": 0}
    ]


@pytest.mark.parametrize(
    "answered",
    [
        None,
        "the word arguments",
        {"type": "tool-result", "toolName": "search", "input": {}},
        {"name": "search", "arguments": {}},
        {"tool_calls": [{"function": {"arguments": "{}"}}, 5, None]},
        {"tools": [_NESTED]},
    ],
)
def test_results_definitions_and_prose_are_no_calls(answered: Any) -> None:
    assert _observed(answered=answered).tool_calls == []


def test_a_call_counts_once() -> None:
    same_id = [{"id": "c", "name": "a"}, {"id": "c", "name": "b"}]
    assert _observed(answered={"tool_calls": same_id}).tool_call_names == ["a"]
    no_id = [
        {"name": "a", "arguments": "1"},
        {"name": "a", "arguments": "1"},
        {"name": "a", "arguments": "2"},
    ]
    assert _observed(answered={"tool_calls": no_id}).tool_call_names == ["a", "a"]


@pytest.mark.parametrize(
    ("attributes", "left"),
    [
        ({"ai.prompt.tools": [json.dumps(_FLAT)]}, []),
        ({"gen_ai.tool.definitions": json.dumps([_FLAT])}, []),
        ({"llm.tools.0.tool.json_schema": json.dumps(_FLAT)}, []),
        (
            {"model_request_parameters": json.dumps({"function_tools": [_FLAT], "mode": "x"})},
            [("attributes.model_request_parameters", '{"mode":"x"}')],
        ),
    ],
)
def test_definitions_beside_the_input_move_into_it(
    attributes: dict[str, Any], left: list[tuple[str, str]]
) -> None:
    event = mapped({**attributes, "input.value": "find it"})
    assert json.loads(event.input or "") == {"prompt": "find it", "tools": [_FLAT]}
    assert event.tool_definitions == _STORED
    assert [pair for pair in event.metadata if pair[0].startswith("attributes.")] == left


@pytest.mark.parametrize(
    ("given", "merged"),
    [
        (None, {"tools": [_FLAT]}),
        ("[1]", {"messages": [1], "tools": [_FLAT]}),
        ('{"a":1}', {"a": 1, "tools": [_FLAT]}),
        (json.dumps({"tools": [_NESTED]}), {"tools": [_NESTED]}),
        (json.dumps({"tools": []}), {"tools": [_FLAT]}),
    ],
)
def test_the_input_takes_moved_definitions_in_its_own_form(given: str | None, merged: Any) -> None:
    attributes = {} if given is None else {"input.value": given}
    event = mapped({**attributes, "gen_ai.tool.definitions": json.dumps([_FLAT])})
    assert json.loads(event.input or "") == merged


@pytest.mark.parametrize(
    ("given", "definitions"),
    [
        ("5", json.dumps([_FLAT])),
        ('{"tools":"mine"}', json.dumps([_FLAT])),
        ("text", '[{"type":"nameless"}]'),
    ],
)
def test_definitions_stay_where_the_input_cannot_take_them(given: str, definitions: str) -> None:
    event = mapped({"input.value": given, "gen_ai.tool.definitions": definitions})
    assert event.input == given
    assert ("attributes.gen_ai.tool.definitions", definitions) in event.metadata


def test_attached_tools_move_too() -> None:
    event = sdk({"langfuse.observation.metadata": json.dumps({"tools": [_FLAT], "k": "v"})})
    assert json.loads(event.input or "") == {"tools": [_FLAT]}
    assert event.metadata[-1] == ("k", "v")
