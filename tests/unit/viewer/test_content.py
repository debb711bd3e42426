"""Inputs and outputs are shown as chats, JSON or text, always escaped."""

from __future__ import annotations

import json

import pytest

from langfuse_embedded.viewer.content import MAX_CHARACTERS, content_of, content_of_value, preview

HOSTILE = "</pre><script>alert(1)</script>"


def test_nothing_is_nothing() -> None:
    assert content_of(None) is None
    assert content_of("") is None
    assert content_of_value(None) is None


def test_plain_text_stays_as_it_is_but_for_markup() -> None:
    content = content_of(f"Hello\n{HOSTILE}")
    assert content is not None
    assert content.part is not None
    assert content.part.html == "Hello\n&lt;/pre&gt;&lt;script&gt;alert(1)&lt;/script&gt;"
    assert not content.part.is_code


def test_json_is_indented_and_its_numbers_are_not_rounded() -> None:
    content = content_of('{"id":12345678901234567890,"price":0.10,"ok":true,"none":null,"list":[1]}')
    assert content is not None
    assert content.part is not None
    lines = content.part.html.striptags()
    assert content.part.is_code
    for shown in ("12345678901234567890", "0.10", "true", "null"):
        assert f'<span class="n">{shown}</span>' in content.part.html
    assert '"list": [ 1 ]' in lines


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({HOSTILE: HOSTILE}),
        json.dumps([{"role": HOSTILE, "content": HOSTILE, "name": HOSTILE, "more": HOSTILE}]),
        json.dumps([{"role": "user", "content": [{"type": HOSTILE, "text": HOSTILE}, {HOSTILE: 1}]}]),
        json.dumps(
            {"role": "assistant", "tool_calls": [{"function": {"name": HOSTILE, "arguments": HOSTILE}}]}
        ),
        json.dumps({"role": "assistant", "tool_calls": [HOSTILE, {"function": {"name": 1}}]}),
        json.dumps([{"type": HOSTILE, "content": HOSTILE}]),
        json.dumps([{"role": "a", "parts": [{"type": "tool_call", "name": HOSTILE, "arguments": HOSTILE}]}]),
        json.dumps([{"role": "a", "parts": [{"type": "tool_call_response", "response": HOSTILE}]}]),
    ],
)
def test_no_markup_survives_in_any_place(text: str) -> None:
    content = content_of(text)
    assert content is not None
    parts = [part for message in content.messages for part in message.parts]
    parts += [content.part] if content.part else []
    assert parts
    assert not any("<script" in part.html for part in parts)
    assert any("&lt;script&gt;" in part.html for part in parts) or "tool_calls" in text


def test_a_chat_is_shown_message_by_message() -> None:
    content = content_of(
        json.dumps(
            {
                "model": "gpt-4o",
                "messages": [
                    {"role": "system", "content": "Be brief."},
                    {
                        "role": "user",
                        "content": [{"type": "text", "text": "Hi"}, {"type": "image_url", "u": 1}],
                    },
                    {"role": "tool", "content": '{"eta": null}', "name": "track"},
                ],
            }
        )
    )
    assert content is not None
    assert [message.role for message in content.messages] == [
        "system",
        "user",
        "tool · track",
        "further fields",
    ]
    assert [part.html for part in content.messages[0].parts] == ["Be brief."]
    assert content.messages[1].parts[0].html == "Hi"
    assert "image_url" in content.messages[1].parts[1].html
    assert content.messages[2].parts[0].is_code


def test_tool_calls_show_their_name_and_parsed_arguments() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "track", "arguments": '{"order": 4711}'}}
    content = content_of(json.dumps({"role": "assistant", "content": None, "tool_calls": [call]}))
    assert content is not None
    (part,) = content.messages[0].parts
    assert part.caption == "tool call · track"
    assert part.html.striptags() == '{ "order": 4711 }'


def _shown(value: object) -> list[tuple[str, list[tuple[str, str]]]]:
    content = content_of(json.dumps(value))
    assert content is not None
    return [
        (message.role, [(part.caption, str(part.html.striptags())) for part in message.parts])
        for message in content.messages
    ]


def test_parts_of_the_genai_conventions_are_shown_as_a_chat() -> None:
    assert _shown(
        [
            {"role": "user", "parts": [{"type": "text", "content": "Where is order 4711?"}]},
            {
                "role": "assistant",
                "parts": [
                    {"type": "reasoning", "content": "Ask the tool."},
                    {"type": "tool_call", "id": "c1", "name": "track", "arguments": {"order": 4711}},
                ],
                "finish_reason": "tool_call",
            },
            {
                "role": "tool",
                "parts": [{"type": "tool_call_response", "id": "c1", "response": {"eta": None}}],
            },
            {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "result": "on its way"}]},
            {"role": "user", "parts": [{"type": "uri", "uri": "https://acme.example/a.png"}]},
        ]
    ) == [
        ("user", [("", "Where is order 4711?")]),
        (
            "assistant",
            [
                ("reasoning", "Ask the tool."),
                ("tool call · track", '{ "order": 4711 }'),
                ("further fields", '{ "finish_reason": "tool_call" }'),
            ],
        ),
        ("tool", [("tool result", '{ "eta": null }')]),
        ("tool", [("tool result", "on its way")]),
        ("user", [("uri", "https://acme.example/a.png")]),
    ]


def test_parts_without_a_role_are_one_message() -> None:
    instructions = [{"type": "text", "content": "Be brief."}, {"type": "text", "content": "Be kind."}]
    assert _shown(instructions) == [("message", [("", "Be brief."), ("", "Be kind.")])]


def test_parts_of_anthropic_show_calls_and_results() -> None:
    call = {"type": "tool_use", "id": "c1", "name": "track", "input": {"order": 4711}}
    result = {"type": "tool_result", "tool_use_id": "c1", "content": "on its way"}
    assert _shown([{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]) == [
        ("assistant", [("tool call · track", '{ "order": 4711 }')]),
        ("user", [("tool result", "on its way")]),
    ]


def test_a_chat_prompt_with_placeholders_is_a_chat() -> None:
    prompt = [
        {"type": "chatmessage", "role": "system", "content": "Be {{tone}}."},
        {"type": "placeholder", "name": "history"},
        {"role": "user", "content": "{{question}}"},
    ]
    assert _shown(prompt) == [
        ("system", [("", "Be {{tone}}.")]),
        ("placeholder · history", [("", "messages that the prompt is compiled with")]),
        ("user", [("", "{{question}}")]),
    ]


@pytest.mark.parametrize(
    "value",
    [
        [{"type": "placeholder"}],
        [{"type": "placeholder", "name": 1}],
        [{"type": 1, "content": "x"}],
        [{"type": "text", "content": None}],
    ],
)
def test_what_is_only_like_a_part_stays_a_list(value: object) -> None:
    assert _shown(value) == []


def test_a_list_that_is_no_chat_stays_a_list() -> None:
    content = content_of('[{"role": "user"}, {"content": "x"}]')
    assert content is not None
    assert not content.messages


def test_a_long_text_is_cut_and_says_so() -> None:
    content = content_of("x" * (MAX_CHARACTERS + 1))
    assert content is not None
    assert content.cut
    assert content.part is not None
    assert len(content.part.html) == MAX_CHARACTERS


@pytest.mark.parametrize("depth", [100, 900, 30_000])
def test_deep_json_is_shown_without_failing(depth: int) -> None:
    content = content_of("[" * depth + "]" * depth)
    assert content is not None
    assert content.part is not None
    assert content.part.html.count("[") >= 60


ASKED, ANSWERED = ("user", [("", "Where is it?")]), ("assistant", [("", "In Piraeus.")])
CALLED = ("assistant", [("tool call · track", '{ "order": 4711 }')])
BRIEF = ("system", [("", "Be brief.")])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(
            {"choices": [{"message": {"role": "assistant", "content": "In Piraeus."}, "index": 0}]},
            [ANSWERED],
            id="OpenAI chat, response",
        ),
        pytest.param(
            {
                "instructions": "Be brief.",
                "input": [
                    {"role": "user", "content": [{"type": "input_text", "text": "Where is it?"}]},
                    {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Look."}]},
                    {
                        "type": "function_call",
                        "name": "track",
                        "arguments": '{"order": 4711}',
                        "call_id": "c",
                    },
                    {"type": "function_call_output", "call_id": "c", "output": "Piraeus"},
                ],
            },
            [BRIEF, ASKED, ("assistant", [("reasoning", "Look.")]), CALLED, ("tool", [("", "Piraeus")])],
            id="OpenAI responses, request",
        ),
        pytest.param(
            {
                "output": [
                    {
                        "type": "message",
                        "role": "assistant",
                        "content": [{"type": "output_text", "text": "In Piraeus.", "annotations": []}],
                    }
                ]
            },
            [ANSWERED],
            id="OpenAI responses, response",
        ),
        pytest.param(
            {"system": "Be brief.", "messages": [{"role": "user", "content": "Where is it?"}]},
            [BRIEF, ASKED],
            id="Anthropic, request",
        ),
        pytest.param(
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Look.", "signature": "abc"},
                    {"type": "tool_use", "id": "c", "name": "track", "input": {"order": 4711}},
                ],
            },
            [("assistant", [("thinking", "Look."), *CALLED[1]])],
            id="Anthropic, response",
        ),
        pytest.param(
            {
                "systemInstruction": {"parts": [{"text": "Be brief."}]},
                "contents": [
                    {"role": "user", "parts": [{"text": "Where is it?"}]},
                    {
                        "role": "model",
                        "parts": [{"functionCall": {"name": "track", "args": {"order": 4711}}}],
                    },
                    {
                        "role": "user",
                        "parts": [{"functionResponse": {"name": "track", "response": {"at": "Piraeus"}}}],
                    },
                ],
            },
            [BRIEF, ASKED, ("model", CALLED[1]), ("user", [("tool result", '{ "at": "Piraeus" }')])],
            id="Gemini, request",
        ),
        pytest.param(
            {"candidates": [{"content": {"role": "model", "parts": [{"text": "In Piraeus."}]}}]},
            [("model", ANSWERED[1])],
            id="Gemini, response",
        ),
        pytest.param(
            [[{"type": "system", "content": "Be brief."}, {"type": "human", "content": "Where is it?"}]],
            [BRIEF, ASKED],
            id="LangChain, dumped",
        ),
        pytest.param(
            [{"type": "human", "data": {"content": "Where is it?", "additional_kwargs": {}}}],
            [ASKED],
            id="LangChain, messages_to_dict",
        ),
        pytest.param(
            [
                {
                    "lc": 1,
                    "type": "constructor",
                    "id": ["langchain", "schema", "messages", "AIMessage"],
                    "kwargs": {
                        "content": "",
                        "tool_calls": [{"name": "track", "args": {"order": 4711}, "id": "c"}],
                        "additional_kwargs": {"tool_calls": [{"function": {"name": "track"}}]},
                    },
                }
            ],
            [CALLED],
            id="LangChain, serialized",
        ),
        pytest.param(
            {"generations": [[{"text": "In Piraeus.", "message": {"type": "ai", "content": "In Piraeus."}}]]},
            [ANSWERED],
            id="LangChain, result",
        ),
        pytest.param(
            [
                {
                    "role": "assistant",
                    "content": [{"type": "tool-call", "toolName": "track", "input": {"order": 4711}}],
                },
                {
                    "role": "tool",
                    "content": [{"type": "tool-result", "toolName": "track", "output": "Piraeus"}],
                },
            ],
            [CALLED, ("tool", [("tool result", "Piraeus")])],
            id="Vercel AI SDK",
        ),
    ],
)
def test_chats_are_read_in_the_shapes_that_clients_send(value: object, expected: object) -> None:
    assert _shown(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        {"output": "text"},
        {"choices": []},
        {"choices": [{"message": "x"}]},
        {"candidates": [1]},
        {"generations": [["x"]]},
        [{"type": "human"}],
        [{"lc": 1, "id": [], "kwargs": {}}],
        [[]],
        {"input": [], "instructions": "Be brief."},
    ],
)
def test_what_is_only_like_a_chat_stays_json(value: object) -> None:
    content = content_of(json.dumps(value))
    assert content is not None
    assert not content.messages
    assert content.part is not None


def test_long_parts_of_json_are_folded_and_short_ones_are_not() -> None:
    content = content_of(json.dumps({"long": {f"key-{n}": n for n in range(40)}, "short": [1, 2]}))
    assert content is not None
    assert content.part is not None
    html = content.part.html
    assert html.count("<details") == 1
    assert "<summary>{ 40 fields }</summary>" in html
    assert html.index("</details>") < html.index("short")


def test_media_are_named_once_by_what_the_text_says_of_them() -> None:
    image = "@@@langfuseMedia:type=image/png|id=abc-1_x|source=bytes@@@"
    content = content_of(
        json.dumps(
            [
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": image}}, image]},
                {"role": "user", "content": "@@@langfuseMedia:type=audio/wav|id=w|source=bytes@@@"},
                {"role": "user", "content": "@@@langfuseMedia:type=image/svg+xml|id=s|source=bytes@@@"},
                {"role": "user", "content": "@@@langfuseMedia:type=image/png|id=<b>|source=bytes@@@"},
            ]
        )
    )
    assert content is not None
    assert [(one.kind, one.id) for one in content.media] == [
        ("image", "abc-1_x"),
        ("audio", "w"),
        ("file", "s"),
    ]


def test_images_in_the_text_are_shown_and_their_data_are_cut_short() -> None:
    data = "iVBORw0KGgo" + "A" * 4096
    content = content_of(f"see data:image/png;base64,{data} and data:image/svg+xml;base64,{data}")
    assert content is not None
    assert [(one.kind, one.source) for one in content.media] == [("image", f"data:image/png;base64,{data}")]
    assert content.part is not None
    assert content.part.html == (
        "see data:image/png;base64,iVBORw0KGgoAAAAA… (3 KiB) and "
        "data:image/svg+xml;base64,iVBORw0KGgoAAAAA… (3 KiB)"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, ""),
        ("two\nlines", "two lines"),
        ('[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello <b>"}]', "Hello <b>"),
        ('{"role": "assistant", "tool_calls": [{"name": "track", "args": {}}]}', "tool call · track: {}"),
        ('{"plain": 1}', '{"plain": 1}'),
        ("[broken", "[broken"),
        ('{"role": "user", "content": ""}', '{"role": "user", "content": ""}'),
    ],
)
def test_a_preview_is_what_was_said_last(text: str | None, expected: str) -> None:
    assert preview(text) == expected
