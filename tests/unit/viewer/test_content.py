"""Inputs and outputs are shown as chats, JSON or text, always escaped."""

from __future__ import annotations

import json

import pytest

from langfuse_embedded.viewer.content import MAX_CHARACTERS, content_of, content_of_value

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
