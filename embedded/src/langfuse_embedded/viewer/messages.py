"""Messages of a chat, out of the shapes in which clients send them: one shape for all.

Known are requests and responses of OpenAI (chat and responses), Anthropic and Gemini, the parts of
OpenTelemetry's GenAI conventions, messages of LangChain in three spellings, parts of the Vercel AI SDK.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard

from .json_html import Literal

Message = dict[str, Any]
"""`role` (text) and `content`, maybe `tool_calls`, `name` and fields that nobody knows."""

_LANGCHAIN_ROLES = {
    "human": "user",
    "ai": "assistant",
    "AIMessageChunk": "assistant",
    "system": "system",
    "tool": "tool",
    "function": "tool",
    "chat": "message",
}
_LANGCHAIN_CLASSES = {
    "HumanMessage": "user",
    "AIMessage": "assistant",
    "AIMessageChunk": "assistant",
    "SystemMessage": "system",
    "ToolMessage": "tool",
    "FunctionMessage": "tool",
}
_BODIES = ("content", "tool_calls", "toolCalls", "parts")
FURTHER = "further fields"


def messages_of(value: Any) -> list[Message]:
    """Return the messages of a chat, or none when the value is not a chat.

    What stands beside the messages becomes a last one of the role `further fields`.
    """
    if isinstance(value, list):
        return _of_list(value)
    if not isinstance(value, dict):
        return []
    one = message_of(value)
    return [one] if one else _of_document(value)


def _of_list(values: list[Any]) -> list[Message]:
    if len(values) == 1 and isinstance(values[0], list):
        return _of_list(values[0])  # LangChain: a batch of one
    found = [_placeholder(one) or message_of(one) or _item(one) for one in values]
    if found and all(found):
        return [one for one in found if one]
    if values and all(_is_genai_part(one) for one in values):
        return [{"role": "message", "content": values}]
    return []


_REQUESTS = (("messages", "system"), ("contents", "systemInstruction"), ("contents", "system_instruction"),
             ("input", "instructions"))  # fmt: skip


def _of_document(value: dict[str, Any]) -> list[Message]:
    for key, system in _REQUESTS:
        if isinstance(value.get(key), list) and (found := _of_list(value[key])):
            used = {key}
            if value.get(system):
                found = [_system(value[system]), *found]
                used.add(system)
            return [*found, *_further(value, used)]
    if is_text(value.get("input")) and is_text(value.get("instructions")):
        found = [_system(value["instructions"]), {"role": "user", "content": value["input"]}]
        return [*found, *_further(value, {"input", "instructions"})]
    for key, inner in (("choices", "message"), ("candidates", "content")):
        some = value.get(key)
        if isinstance(some, list) and some:
            answers = [message_of(one.get(inner)) if isinstance(one, dict) else None for one in some]
            if all(answers):
                return [*(one for one in answers if one), *_further(value, {key})]
    if isinstance(value.get("output"), list) and (found := _of_list(value["output"])):
        return [*found, *_further(value, {"output"})]
    if isinstance(value.get("generations"), list) and (found := _generations(value["generations"])):
        return [*found, *_further(value, {"generations"})]
    return []


def _further(value: dict[str, Any], used: set[str]) -> list[Message]:
    rest = {name: one for name, one in value.items() if name not in used}
    return [{"role": FURTHER, "content": [rest]}] if rest else []


def _system(value: Any) -> Message:
    one = message_of(value) if isinstance(value, dict) else None
    return {**one, "role": "system"} if one else {"role": "system", "content": value}


def _generations(values: Sequence[Any]) -> list[Message]:
    """Read what LangChain calls a result: lists of generations with a message or a text."""
    flat = [one for some in values for one in (some if isinstance(some, list) else [some])]
    found: list[Message] = []
    for one in flat:
        if not isinstance(one, dict):
            return []
        message = message_of(one.get("message"))
        if message is None and is_text(one.get("text")):
            message = {"role": "assistant", "content": one["text"]}
        if message is None:
            return []
        found.append(message)
    return found


def message_of(value: Any) -> Message | None:
    """Return a message in the one shape, or ``None`` when the value is none."""
    if not isinstance(value, dict):
        return None
    if is_text(value.get("role")) and not value.keys().isdisjoint(_BODIES):
        return value
    if isinstance(value.get("parts"), list) and value.keys() <= {"parts", "role"}:
        return {"role": value.get("role") or "model", "parts": value["parts"]}
    kwargs, path = value.get("kwargs"), value.get("id")
    if "lc" in value and isinstance(kwargs, dict) and isinstance(path, list) and path:
        return _langchain(_LANGCHAIN_CLASSES.get(str(path[-1])), kwargs)
    kind = value.get("type")
    if is_text(kind) and kind in _LANGCHAIN_ROLES:
        data = value.get("data")
        return _langchain(_LANGCHAIN_ROLES[kind], data if isinstance(data, dict) else value)
    return None


def _langchain(role: str | None, fields: dict[str, Any]) -> Message | None:
    if role is None or "content" not in fields:
        return None
    named = {name: one for name, one in fields.items() if name not in ("type", "role")}
    extra = named.get("additional_kwargs")
    if isinstance(extra, dict) and not named.get("tool_calls") and isinstance(extra.get("tool_calls"), list):
        named["tool_calls"] = extra["tool_calls"]
    # Calls are there twice: as LangChain reads them, and as the model's API wrote them.
    if named.get("tool_calls"):
        named.pop("additional_kwargs", None)
    return {**named, "role": role}


def _item(value: Any) -> Message | None:
    """Return an item of OpenAI's responses that is not a message as one: a call, its output, reasoning."""
    if not isinstance(value, dict):
        return None
    kind = value.get("type")
    if kind == "function_call" and is_text(value.get("name")):
        return {"role": "assistant", "content": None, "tool_calls": [value]}
    if kind == "function_call_output" and "output" in value:
        return {"role": "tool", "content": value["output"]}
    if kind == "reasoning" and isinstance(value.get("summary"), list):
        return {"role": "assistant", "content": [{"type": "reasoning", "content": _joined(value["summary"])}]}
    return None


def _joined(parts: list[Any]) -> str:
    return "\n".join(one["text"] for one in parts if isinstance(one, dict) and is_text(one.get("text")))


def _placeholder(value: Any) -> Message | None:
    """Return what stands for messages that are filled in when a prompt is compiled."""
    if isinstance(value, dict) and value.get("type") == "placeholder" and is_text(value.get("name")):
        return {
            "role": f"placeholder · {value['name']}",
            "content": "messages that the prompt is compiled with",
        }
    return None


def _is_genai_part(value: Any) -> bool:
    """Tell whether a value is a part of a message by itself, as instructions to a model are sent."""
    return isinstance(value, dict) and is_text(value.get("type")) and is_text(value.get("content"))


def is_text(value: Any) -> TypeGuard[str]:
    """Tell whether a value of parsed JSON is a text, not a number that is kept as it was written."""
    return isinstance(value, str) and not isinstance(value, Literal)
