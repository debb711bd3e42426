"""Inputs and outputs as people read them: chat messages, indented JSON, or plain text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from markupsafe import Markup, escape

from .json_html import Literal, parse, render

MAX_CHARACTERS = 100_000
"""How much of a text a page shows; the whole is served beside it."""
_MAX_MESSAGES = 200
_WORDS = frozenset(("text", "input_text", "output_text"))
# What messages say of themselves beside what they hold: prompts of Langfuse, the responses API.
_PLAIN_TYPES = ("chatmessage", "message")
# Parts of messages in the GenAI conventions of OpenTelemetry, and those of Anthropic, which mean the same.
_CALLS = {"tool_call": "arguments", "tool_use": "input"}
_RESULTS = {"tool_call_response": ("response", "result"), "tool_result": ("content",)}


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a message or of a whole text: a caption that may be empty, and escaped HTML."""

    html: Markup
    caption: str = ""
    is_code: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat."""

    role: str
    parts: Sequence[Part]


@dataclass(frozen=True, slots=True)
class Content:
    """What to show of an input or output: messages, or else one part. `cut` tells that there is more."""

    messages: Sequence[Message] = ()
    part: Part | None = None
    cut: bool = False


def content_of(text: str | None) -> Content | None:
    """Return how to show a stored text; ``None`` when there is none."""
    if not text:
        return None
    if len(text) > MAX_CHARACTERS:
        return Content(part=_plain(text[:MAX_CHARACTERS]), cut=True)
    try:
        value = parse(text)
    except ValueError:
        return Content(part=_plain(text))
    if messages := _messages(value):
        return Content(messages[:_MAX_MESSAGES], cut=len(messages) > _MAX_MESSAGES)
    return Content(part=_part(value))


def content_of_value(value: Any) -> Content | None:
    """Return how to show a JSON value, such as a field of a dataset item."""
    if value is None or isinstance(value, str):
        return content_of(value)
    return content_of(json.dumps(value, ensure_ascii=False))


def _messages(value: Any) -> list[Message]:
    """Return the messages of a chat in the shapes that clients send, or none when it is no chat."""
    if isinstance(value, dict) and isinstance(value.get("messages"), list):
        found = _messages(value["messages"])
        rest = {name: one for name, one in value.items() if name != "messages"}
        return [*found, Message("further fields", [_part(rest)])] if found and rest else found
    if isinstance(value, dict):
        return [_message(value)] if _is_message(value) else []
    if not isinstance(value, list) or not value:
        return []
    if all(_is_message(one) or _is_placeholder(one) for one in value):
        return [_placeholder(one) if _is_placeholder(one) else _message(one) for one in value]
    if all(_is_part(one) for one in value):
        return [Message("message", [_content_part(one) for one in value])]
    return []


def _is_text(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and not isinstance(value, Literal)


def _is_placeholder(value: Any) -> bool:
    """Tell whether messages are to be filled in here when a prompt is compiled."""
    return isinstance(value, dict) and value.get("type") == "placeholder" and _is_text(value.get("name"))


def _placeholder(value: dict[str, Any]) -> Message:
    return Message(f"placeholder · {value['name']}", [_plain("messages that the prompt is compiled with")])


def _is_part(value: Any) -> bool:
    """Tell whether a value is a part of a message by itself, as instructions to a model are sent."""
    return isinstance(value, dict) and _is_text(value.get("type")) and _is_text(value.get("content"))


def _is_message(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and _is_text(value.get("role"))
        and not value.keys().isdisjoint(("content", "tool_calls", "parts"))
    )


def _message(value: dict[str, Any]) -> Message:
    parts = [*_content_parts(value.get("content")), *_content_parts(value.get("parts"))]
    rest = {
        name: one
        for name, one in value.items()
        if name not in ("role", "content", "parts", "name", "tool_calls")
        and one not in (None, [], {})
        and not (name == "type" and one in _PLAIN_TYPES)
    }
    calls = value.get("tool_calls")
    parts += [_tool_call(call) for call in (calls if isinstance(calls, list) else [])]
    if rest:
        parts.append(_part(rest, "further fields"))
    name = value.get("name")
    return Message(f"{value['role']} · {name}" if isinstance(name, str) and name else value["role"], parts)


def _content_parts(content: Any) -> list[Part]:
    if content is None or content == "":
        return []
    if isinstance(content, str) and content.lstrip()[:1] in ("{", "["):
        # What tools answer is mostly JSON in a text.
        return [_parsed(content)]
    if not isinstance(content, list):
        return [_part(content)]
    return [_content_part(one) for one in content]


def _content_part(value: Any) -> Part:
    if isinstance(value, dict) and isinstance(value.get("text"), str) and value.keys() <= {"type", "text"}:
        kind = value.get("type", "text")
        return _plain(value["text"], "" if kind in _WORDS else str(kind))
    kind = value.get("type") if isinstance(value, dict) else None
    if not _is_text(kind):
        return _part(value)
    if _is_text(value.get("content")) and value.keys() <= {"type", "content"}:
        return _parsed(value["content"], "" if kind in _WORDS else kind)
    if kind in _CALLS and _is_text(value.get("name")):
        return _tool_call({"name": value["name"], "arguments": value.get(_CALLS[kind])})
    for name in _RESULTS.get(kind, ()):
        if name in value:
            result = value[name]
            return _parsed(result, "tool result") if _is_text(result) else _part(result, "tool result")
    return _part(value)


def _tool_call(call: Any) -> Part:
    function = call.get("function", call) if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        return _part(call, "tool call")
    arguments = function.get("arguments", function.get("args"))
    caption = f"tool call · {function['name']}"
    return _parsed(arguments, caption) if isinstance(arguments, str) else _part(arguments, caption)


def _parsed(text: str, caption: str = "") -> Part:
    try:
        return _part(parse(text), caption)
    except ValueError:
        return _plain(text, caption)


def _part(value: Any, caption: str = "") -> Part:
    if isinstance(value, str) and not isinstance(value, Literal):
        return _plain(value, caption)
    return Part(render(value), caption, is_code=True)


def _plain(text: str, caption: str = "") -> Part:
    return Part(escape(text), caption)
