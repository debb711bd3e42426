"""Input and output: each convention by itself, and the order among them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.otlp.spans import mapped, sdk

_MESSAGES = '[{"role":"user","content":"hi"}]'


@pytest.mark.parametrize(
    ("scope", "attributes", "given", "answered"),
    [
        ("acme-app", {}, None, None),
        (
            "acme-app",
            {"langfuse.observation.output": "o", "input.value": "i"},
            None,
            "o",
        ),
        (
            "genkit-tracer",
            {"genkit:input": '{"messages":[1]}', "genkit:output": '{"message":{"a":1}}'},
            "[1]",
            '{"a":1}',
        ),
        ("genkit-tracer", {"genkit:input": "text", "input.value": "x"}, "text", None),
        ("ai", {"ai.prompt": "p", "ai.prompt.messages": "m", "ai.result.text": "r"}, "m", "r"),
        ("ai", {"ai.response.text": "", "ai.response.object": "{}"}, None, "{}"),
        (
            "ai",
            {"ai.response.text": "t", "ai.response.toolCalls": "[]"},
            None,
            '{"role":"assistant","content":"t","tool_calls":"[]"}',
        ),
        ("ai", {"gen_ai.input.messages": _MESSAGES}, _MESSAGES, None),
        (
            "@flue/opentelemetry",
            {"flue.task.prompt": '{"a":1.0}', "flue.task.result": "done"},
            '{"a":1}',
            "done",
        ),
        ("acme-app", {"flue.task.prompt": "p", "input.value": "i"}, "i", None),
        (
            "acme-app",
            {"gcp.vertex.agent.llm_request": "{}", "gcp.vertex.agent.tool_call_args": "a"},
            "a",
            None,
        ),
        ("acme-app", {"prompt": "p", "all_messages_events": "e"}, "p", "e"),
        ("acme-app", {"lk.chat_ctx": "c", "lk.response.text": "r", "mlflow.spanInputs": "x"}, "c", "r"),
        (
            "acme-app",
            {"events": '[{"event.name":"gen_ai.choice","n":1},{"x":2}]'},
            '[{"x":2}]',
            '{"event.name":"gen_ai.choice","n":1}',
        ),
        ("acme-app", {"events": '{"a":1}', "input": "later"}, "later", None),
        ("acme-app", {"mlflow.spanInputs": "mi", "traceloop.entity.input": "ti"}, "mi", None),
        ("acme-app", {"traceloop.entity.output": "to", "input.value": "i"}, None, "to"),
        ("acme-app", {"input.value": "i", "output.value": "o", "input": "x"}, "i", "o"),
        ("pydantic-ai", {"pydantic_ai.all_messages": _MESSAGES, "final_result": "f"}, _MESSAGES, "f"),
        ("acme-app", {"pydantic_ai.all_messages": _MESSAGES, "tool_arguments": "{}"}, "{}", None),
        ("acme-app", {"gen_ai.tool.call.arguments": "a", "gen_ai.tool.call.result": "r"}, "a", "r"),
    ],
)
def test_each_convention_is_read(
    scope: str, attributes: dict[str, Any], given: str | None, answered: str | None
) -> None:
    event = mapped(attributes, scope=scope)
    assert (event.input, event.output) == (given, answered)


def test_langfuse_attributes_may_be_false_or_zero() -> None:
    event = sdk({"langfuse.observation.input": False, "langfuse.observation.output": 0})
    assert (event.input, event.output) == ("false", "0")


def test_system_instructions_go_in_front_unless_there_is_a_system_message() -> None:
    parts = '[{"type":"text","content":"be kind"},"be brief"]'
    event = mapped({"gen_ai.input.messages": _MESSAGES, "gen_ai.system_instructions": parts})
    assert json.loads(event.input or "")[0] == {"role": "system", "content": "be kind\nbe brief"}
    with_system = '[{"role":"system","content":"x"}]'
    event = mapped({"gen_ai.input.messages": with_system, "gen_ai.system_instructions": parts})
    assert event.input == with_system
    event = mapped({"gen_ai.input.messages": "no json", "gen_ai.system_instructions": parts})
    assert event.input == "no json"


def test_message_events_become_a_list_and_one_choice_an_object() -> None:
    events = [
        ("gen_ai.user.message", {"content": "hi"}),
        ("gen_ai.choice", {"index": 0, "message": "yo"}),
    ]
    event = mapped(events=events)
    assert event.input == '[{"role":"user","content":"hi"}]'
    assert event.output == '{"index":0,"message":"yo"}'
    event = mapped(events=[*events, ("gen_ai.choice", {"index": 1})])
    assert event.output == '[{"index":0,"message":"yo"},{"index":1}]'


def test_the_operation_details_event_beats_message_events() -> None:
    event = mapped(
        events=[
            ("gen_ai.user.message", {"content": "hi"}),
            ("gen_ai.client.inference.operation.details", {"gen_ai.input.messages": _MESSAGES}),
        ]
    )
    assert (event.input, event.output) == (_MESSAGES, None)


def test_content_events_are_read_like_attributes() -> None:
    event = mapped(
        events=[
            ("gen_ai.content.prompt", {"gen_ai.prompt": "p"}),
            ("gen_ai.content.completion", {"odd": 1}),
        ]
    )
    assert (event.input, event.output) == ("p", '{"odd":1}')


@pytest.mark.parametrize(
    ("attributes", "given"),
    [
        ({"gen_ai.prompt": "whole", "gen_ai.prompt.0.content": "x"}, "whole"),
        ({"gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "x"}, '[{"role":"user","content":"x"}]'),
        ({"gen_ai.prompt.2.content": "x"}, '[null,null,{"content":"x"}]'),
        ({"gen_ai.prompt.0.tools.1.name": "t"}, '[{"tools":[null,{"name":"t"}]}]'),
        ({"gen_ai.prompt.a": 1, "gen_ai.prompt.b.c": 2}, '{"a":1,"b":{"c":2}}'),
        ({"gen_ai.prompt.a": "text", "gen_ai.prompt.a.b": "lost"}, '{"a":"text"}'),
        ({"gen_ai.prompt.10001.content": "too far", "gen_ai.prompt.0.content": "x"}, '[{"content":"x"}]'),
        ({"gen_ai.prompt.0.constructor": "x", "gen_ai.prompt.0.a": "y"}, '[{"a":"y"}]'),
        ({"llm.input_messages.0.message.content": "x"}, '[{"message":{"content":"x"}}]'),
        ({"gen_ai.prompts": "kept"}, '{"gen_ai.prompts":"kept"}'),
    ],
)
def test_messages_spread_over_keys_are_put_together(attributes: dict[str, Any], given: str) -> None:
    assert mapped(attributes).input == given


def test_the_slots_of_all_lists_count_together() -> None:
    attributes = {f"gen_ai.prompt.{slot}.parts.999.text": "x" for slot in range(20)}
    parts = json.loads(mapped(attributes).input or "")
    assert len(parts) == 9


def test_an_integer_too_large_for_a_double_reads_as_the_double() -> None:
    assert sdk({"langfuse.observation.input": 2**53 + 1}).input == "9007199254740992"
    assert sdk({"langfuse.observation.input": 2**63 - 1}).input == "9223372036854776000"
