"""Tool definitions that frameworks put beside the input: moved from the metadata into the input.

So that one place, the input, tells what the model could call. When the input cannot take them (it is a
number, or has something else under `tools`), everything stays where it was.
"""

from __future__ import annotations

from typing import Any

from langfuse_embedded.javascript.values import InvalidJson, dumps, loads, truthy

from .tools import flat_definition, parsed

_LISTS = (("ai.prompt.tools", True), ("gen_ai.tool.definitions", False))
"""Attributes that hold a list of definitions, and whether provider tools without a name count as such."""

_REQUEST = "model_request_parameters"
_INDEXED_PREFIX, _INDEXED_SUFFIX = "llm.tools.", ".tool.json_schema"


def _is_tool_attribute(key: str) -> bool:
    return key in ("ai.prompt.tools", "gen_ai.tool.definitions", _REQUEST) or _slot(key) is not None


def _slot(key: str) -> int | None:
    """Return N of `llm.tools.N.tool.json_schema`."""
    if not key.startswith(_INDEXED_PREFIX) or not key.endswith(_INDEXED_SUFFIX):
        return None
    digits = key[len(_INDEXED_PREFIX) : -len(_INDEXED_SUFFIX)]
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 100 else None


def move_tools_into_input(input_: Any, metadata: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return input and metadata after the move; both unchanged when there is nothing to move or no place."""
    tools, cleaned = _taken_out(metadata)
    if not tools:
        return input_, metadata
    merged = _with_tools(input_, tools)
    return (input_, metadata) if merged is None else (merged, cleaned)


# --- out of the metadata -----------------------------------------------------------------------------


def _taken_out(metadata: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    cleaned = dict(metadata)
    tools = _definitions(metadata.get("tools"), nameless=False) or []
    if tools:
        del cleaned["tools"]
    attributes = _attributes(metadata.get("attributes"))
    if attributes is not None:
        rest = dict(attributes)
        for key, nameless in _LISTS:
            found = _definitions(attributes.get(key), nameless=nameless)
            if found is not None:
                tools += found
                del rest[key]
        tools += _from_request(attributes, rest)
        tools += _from_slots(attributes, rest)
        if rest:
            cleaned["attributes"] = rest
        else:
            del cleaned["attributes"]
    return _unique(tools), cleaned


def _attributes(value: Any) -> dict[str, Any] | None:
    """Return the attributes object; one sent as JSON text counts only when it names tools."""
    if isinstance(value, str):
        document = parsed(value)
        names_tools = isinstance(document, dict) and any(_is_tool_attribute(key) for key in document)
        return document if names_tools else None
    return value if isinstance(value, dict) else None


def _from_request(attributes: dict[str, Any], rest: dict[str, Any]) -> list[Any]:
    """Take Pydantic AI's function tools out of its request parameters."""
    given = attributes.get(_REQUEST)
    request = parsed(given)
    if not isinstance(request, dict):
        return []
    found = _definitions(request.get("function_tools"), nameless=False)
    left = {key: value for key, value in request.items() if found is None or key != "function_tools"}
    if left:
        rest[_REQUEST] = dumps(left) if isinstance(given, str) else left
    else:
        rest.pop(_REQUEST, None)
    return found or []


def _from_slots(attributes: dict[str, Any], rest: dict[str, Any]) -> list[Any]:
    """Take OpenInference's numbered tools, in the order of their numbers."""
    slots = sorted((slot, key) for key in attributes if (slot := _slot(key)) is not None)
    tools = []
    for _, key in slots:
        tool = parsed(attributes[key])
        if _is_definition(tool, nameless=False):
            tools.append(tool)
            del rest[key]
    return tools


def _definitions(value: Any, *, nameless: bool) -> list[Any] | None:
    """Return a list of definitions, out of its JSON text too; ``None`` when an entry is something else."""
    listed = parsed(value)
    if not isinstance(listed, list):
        return None
    tools = [parsed(tool) for tool in listed]
    return tools if all(_is_definition(tool, nameless=nameless) for tool in tools) else None


def _is_definition(tool: Any, *, nameless: bool) -> bool:
    if not isinstance(tool, dict):
        return False
    return truthy(flat_definition(tool)["name"]) or (nameless and isinstance(tool.get("type"), str))


def _unique(tools: list[Any]) -> list[Any]:
    """Return the tools without those whose name came before."""
    names: set[str] = set()
    unique = []
    for tool in tools:
        name = flat_definition(tool)["name"]
        if truthy(name):
            key = name if isinstance(name, str) else dumps(name)
            if key in names:
                continue
            names.add(key)
        unique.append(tool)
    return unique


# --- into the input ----------------------------------------------------------------------------------


def _with_tools(input_: Any, tools: list[Any]) -> dict[str, Any] | None:
    """Return the input as an object with `tools`, or ``None`` when it cannot take them."""
    if isinstance(input_, str):
        try:
            input_ = loads(input_)
        except InvalidJson:
            return {"prompt": input_, "tools": tools}
    if input_ is None:
        return {"tools": tools}
    if isinstance(input_, str):
        return {"prompt": input_, "tools": tools}
    if isinstance(input_, list):
        return {"messages": input_, "tools": tools}
    if not isinstance(input_, dict):
        return None
    if input_.get("tools") is None:
        return input_ | {"tools": tools}
    existing = parsed(input_["tools"])
    if not isinstance(existing, list):
        return None
    known = [tool for tool in map(parsed, existing) if _is_definition(tool, nameless=True)]
    return None if existing and not known else input_ | {"tools": _unique(known + tools)}
