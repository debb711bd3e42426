"""Inputs and outputs as people read them: chat messages, indented JSON, or plain text."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from .formats import one_line
from .json_html import parse, render
from .messages import FURTHER, is_text, messages_of

MAX_CHARACTERS = 100_000
"""How much of a text a page shows; the whole is served beside it."""
_MAX_MESSAGES = 200
_MAX_PREVIEWED = 20_000
_WORDS = frozenset(("text", "input_text", "output_text"))
# What messages say of themselves beside what they hold: prompts of Langfuse, the responses API.
_PLAIN_FIELDS = frozenset(("role", "content", "type"))
_PLAIN_TYPES = ("chatmessage", "message")
# Parts of messages in the GenAI conventions of OpenTelemetry, and those of Anthropic, which mean the same.
_CALLS = {"tool_call": ("arguments",), "tool_use": ("input",), "tool-call": ("input", "args")}
_RESULTS = {
    "tool_call_response": ("response", "result"),
    "tool_result": ("content",),
    "tool-result": ("output", "result"),
}
_READ = ("role", "content", "parts", "name", "tool_calls", "toolCalls")
# What proves to a model that a part is its own.
_UNREAD = ("signature", "thoughtSignature", "annotations", "logprobs", "cache_control")
# Images that browsers show and that cannot hold scripts.
_SHOWN = ("image/png", "image/jpeg", "image/jpg", "image/gif", "image/webp", "image/avif", "image/bmp")
_MAX_MEDIA = 20
_REFERENCE_MARK = "@@@langfuseMedia:"
_REFERENCE = re.compile(r"@@@langfuseMedia:type=([\w/+.-]{1,100})\|id=([\w-]{1,100})\|source=\w+@@@")
_DATA_URI = re.compile(r"data:([\w/+.-]{1,100});base64,([A-Za-z0-9+/=]{200,})")


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a message or of a whole text: a caption that may be empty, and escaped HTML.

    `hits` is how often what is looked for is marked in it.
    """

    html: Markup
    caption: str = ""
    is_code: bool = False
    is_folded: bool = False
    hits: int = 0


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat."""

    role: str
    parts: Sequence[Part]


@dataclass(frozen=True, slots=True)
class Content:
    """What to show of an input or output: messages, or else one part; `media` are the files it refers to.

    `cut` tells that there is more.
    """

    messages: Sequence[Message] = ()
    part: Part | None = None
    cut: bool = False
    media: Sequence[Media] = ()

    @property
    def hits(self) -> int:
        """How often what is looked for is marked in it."""
        parts = [part for message in self.messages for part in message.parts]
        return sum(one.hits for one in (*parts, *([self.part] if self.part else ())))


@dataclass(frozen=True, slots=True)
class Media:
    """A file that a text refers to by its id, or an image that is in it as a data URI (`source`).

    `kind` is `image`, `audio`, `video` or `file`: how a page shows it. What it is, is for the record to say.
    """

    kind: str
    content_type: str
    id: str = ""
    source: str = ""


def _media_in(text: str) -> tuple[list[Media], str]:
    """Return what a text refers to, each once, and the text with images that stand in it cut short."""
    found: dict[str, Media] = {}
    for content_type, media_id in _REFERENCE.findall(text) if _REFERENCE_MARK in text else ():
        kind = content_type.partition("/")[0]
        shown = kind if content_type in _SHOWN or kind in ("audio", "video") else "file"
        found[media_id] = Media(shown, content_type, media_id)

    def cut(match: re.Match[str]) -> str:
        content_type, data = match.groups()
        if content_type in _SHOWN and len(match[0]) <= MAX_CHARACTERS:
            found[match[0]] = Media("image", content_type, source=match[0])
        size = len(data) * 3 // 4096
        return f"data:{content_type};base64,{data[:16]}… ({size:,} KiB)"

    if ";base64," in text:
        text = _DATA_URI.sub(cut, text)
    return list(found.values())[:_MAX_MEDIA], text


def content_of(text: str | None) -> Content | None:
    """Return how to show a stored text; ``None`` when there is none."""
    if not text:
        return None
    media, text = _media_in(text)
    if len(text) > MAX_CHARACTERS:
        return Content(part=_plain(text[:MAX_CHARACTERS]), cut=True, media=media)
    try:
        value = parse(text)
    except ValueError:
        return Content(part=_plain(text), media=media)
    if messages := messages_of(value):
        shown = [_message(one) for one in messages[:_MAX_MESSAGES]]
        return Content(shown, cut=len(messages) > _MAX_MESSAGES, media=media)
    return Content(part=_part(value), media=media)


def preview(text: str | None, length: int = 140) -> str:
    """Return the beginning of a text in one line; of a chat, what its last message says."""
    if text and text[0] in "[{" and len(text) <= _MAX_PREVIEWED:
        try:
            messages = messages_of(parse(text))
        except ValueError:
            messages = []
        said = [one for one in messages if one["role"] != FURTHER][-1:]
        for part in [part for one in said for part in _message(one).parts if not part.is_folded][:1]:
            caption = f"{part.caption}: " if part.caption else ""
            return one_line(caption + part.html.striptags(), length)
    return one_line(text, length)


def plain_text(text: str | None) -> str:
    """Return a text to be compared with another: what a single message says, JSON in an indented form."""
    if not text or text[0] not in '[{"' or len(text) > MAX_CHARACTERS:
        return text or ""
    try:
        value = json.loads(text)
        if isinstance(value, str):
            return value
        messages = messages_of(parse(text))
    except (ValueError, RecursionError):
        return text
    said = messages[0].get("content") if len(messages) == 1 else None
    if is_text(said) and not messages[0].get("tool_calls"):
        return said
    return json.dumps(value, ensure_ascii=False, indent=2)


def plain_text_of_value(value: Any) -> str:
    """Return a JSON value as a text to be compared with another; of a chat, roles and what they say."""
    if isinstance(value, str):
        return value
    messages = messages_of(value)
    if messages and all(is_text(one.get("content")) and one.keys() <= _PLAIN_FIELDS for one in messages):
        return "\n\n".join(f"{one['role']}:\n{one['content']}" for one in messages)
    return json.dumps(value, ensure_ascii=False, indent=2) if value else ""


def content_of_value(value: Any) -> Content | None:
    """Return how to show a JSON value, such as a field of a dataset item."""
    if value is None or isinstance(value, str):
        return content_of(value)
    return content_of(json.dumps(value, ensure_ascii=False))


def _message(value: dict[str, Any]) -> Message:
    parts = [*_content_parts(value.get("content")), *_content_parts(value.get("parts"))]
    rest = {
        name: one
        for name, one in value.items()
        if name not in _READ
        and one not in (None, [], {}, "")
        and not (name == "type" and one in _PLAIN_TYPES)
    }
    for key in ("tool_calls", "toolCalls"):
        calls = value.get(key)
        parts += [_tool_call(call) for call in (calls if isinstance(calls, list) else [])]
    if rest:
        parts.append(_part(rest, FURTHER, is_folded=True))
    name = value.get("name")
    return Message(f"{value['role']} · {name}" if is_text(name) and name else value["role"], parts)


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
    if not isinstance(value, dict):
        return _part(value)
    kind = value.get("type")
    if is_text(value.get("text")) and _has_only(value, "text"):
        return _plain(value["text"], "" if kind is None or kind in _WORDS else str(kind))
    if not is_text(kind):
        return _gemini_part(value)
    for name in ("content", kind):  # GenAI parts; Anthropic's thinking
        if is_text(value.get(name)) and _has_only(value, name):
            return _parsed(value[name], "" if kind in _WORDS else kind)
    call, result = value.get("name", value.get("toolName")), _RESULTS.get(kind, ())
    if kind in _CALLS and is_text(call):
        arguments = next((value[name] for name in _CALLS[kind] if name in value), None)
        return _tool_call({"name": call, "arguments": arguments})
    for name in result:
        if name in value:
            return _result(value[name])
    return _part(value)


def _gemini_part(value: dict[str, Any]) -> Part:
    for name in ("functionCall", "function_call"):
        if isinstance(value.get(name), dict):
            return _tool_call(value[name])
    for name in ("functionResponse", "function_response"):
        if isinstance(value.get(name), dict):
            return _part(value[name].get("response"), "tool result")
    return _part(value)


def _has_only(value: dict[str, Any], name: str) -> bool:
    """Tell whether a part holds nothing but one field that people read."""
    return all(one in (None, [], {}) for key, one in value.items() if key not in ("type", name, *_UNREAD))


def _result(value: Any) -> Part:
    if (
        isinstance(value, list)
        and len(value) == 1
        and isinstance(value[0], dict)
        and is_text(value[0].get("text"))
    ):
        value = value[0]["text"]
    return _parsed(value, "tool result") if is_text(value) else _part(value, "tool result")


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


def _part(value: Any, caption: str = "", *, is_folded: bool = False) -> Part:
    if is_text(value):
        return _plain(value, caption)
    return Part(render(value), caption, is_code=True, is_folded=is_folded)


def _plain(text: str, caption: str = "") -> Part:
    return Part(escape(text), caption)
