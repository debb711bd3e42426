"""Tools that a model could call, and those that it called, as found in an observation's input and output."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from langfuse_embedded.javascript.values import InvalidJson, dumps, loads, string, truthy

_CALL_PARTS = frozenset({"tool_use", "tool-call"})
_CALL_TYPES = frozenset({"function", "function_call", "tool-call", "tool_use"})
_MESSAGE_KEYS = ("role", "content", "tool_calls", "additional_kwargs")


@dataclass(slots=True)
class Tools:
    """Definitions by tool name, calls, and the name of each call, as they are stored."""

    definitions: dict[str, str] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    call_names: list[str] = field(default_factory=list)


def may_define_tools(text: str) -> bool:
    """Tell whether an input can define tools: parsing every input to find out would cost too much."""
    return '"tool' in text


def may_call_tools(text: str) -> bool:
    """Tell whether an output can hold tool calls: each of their shapes has one of these words."""
    return '"tool' in text or '"arguments"' in text


def parsed(value: Any) -> Any:
    """Return the document in a JSON text; other values and texts as they are."""
    if not isinstance(value, str):
        return value
    try:
        return loads(value)
    except InvalidJson:
        return value


def tools_of(input_: Any, output: Any) -> Tools:
    """Return the tools in a parsed input and a parsed output; texts hold none."""
    tools = Tools()
    for tool in _offered(input_):
        flat = flat_definition(tool)
        if truthy(flat["name"]):
            name = string(flat["name"])
            tools.definitions.setdefault(
                name, dumps({"description": _or_empty(flat["description"]), "parameters": _parameters(flat)})
            )
    seen: set[str] = set()
    for call in _called(output):
        _add_call(tools, call, seen)
    return tools


# --- definitions -------------------------------------------------------------------------------------


def flat_definition(tool: Any) -> dict[str, Any]:
    """Return name, description and parameters of a definition, nested under `function` or not."""
    if isinstance(tool, str):
        tool = parsed(tool)
    if not isinstance(tool, dict):
        return {"name": None, "description": None, "parameters": None}
    inner = tool.get("function")
    source = tool if inner is None else inner if isinstance(inner, dict) else {}
    return {
        "name": source.get("name"),
        "description": _first(source, "description", "desc"),
        "parameters": _first(source, "parameters", "parameters_json_schema", "inputSchema"),
    }


def _parameters(flat: dict[str, Any]) -> str:
    return dumps(flat["parameters"]) if truthy(flat["parameters"]) else ""


def _or_empty(value: Any) -> Any:
    return "" if value is None else value


def _offered(input_: Any) -> list[Any]:
    """Return the tool definitions of a request or of a list of messages."""
    if isinstance(input_, list):
        input_ = {"messages": input_}
    if not isinstance(input_, dict):
        return []
    offered = list(_list(input_.get("tools")))
    for message in _list(input_.get("messages")):
        if isinstance(message, dict):
            offered += _list(message.get("tools"))
            content = message.get("content")
            # LangGraph puts a definition into a message of the role "tool".
            if message.get("role") == "tool" and _is_nested_definition(content):
                offered.append(content)
    return offered


def _is_nested_definition(content: Any) -> bool:
    return isinstance(content, dict) and content.get("type") == "function" and truthy(content.get("function"))


# --- calls -------------------------------------------------------------------------------------------


def _called(output: Any) -> list[Any]:
    """Return the tool calls of a response: a call, a message, a list of either, or OpenAI's choices."""
    if isinstance(output, list):
        return [call for item in output if isinstance(item, (dict, list)) for call in _called_by_item(item)]
    if not isinstance(output, dict):
        return []
    if _is_call(output) and not _is_message(output):
        return [output]
    called = _tool_calls(output)
    for choice in _list(output.get("choices")):
        if isinstance(choice, dict):
            called += _tool_calls(choice.get("message"))
    called += _calls_in_content(output)
    extra = output.get("additional_kwargs")
    if isinstance(extra, dict):
        called += _list(_parsed_list(extra.get("tool_calls")))
    return called


def _called_by_item(item: Any) -> list[Any]:
    if _is_call(item) and not _is_message(item):
        return [item]
    return _tool_calls(item) + _calls_in_content(item)


def _tool_calls(message: Any) -> list[Any]:
    if not isinstance(message, dict):
        return []
    calls = _parsed_list(message.get("tool_calls"))
    return list(_list(_parsed_list(message.get("toolCalls")) if calls is None else calls))


def _calls_in_content(message: Any) -> list[Any]:
    """Return the calls among the parts of a message: Anthropic's `tool_use`, the AI SDK's `tool-call`."""
    if not isinstance(message, dict):
        return []
    calls = []
    for part in _list(message.get("content")):
        kind = part.get("type") if isinstance(part, dict) else None
        if isinstance(kind, str) and kind in _CALL_PARTS:
            calls.append(_tool_use(part) if kind == "tool_use" else part)
    return calls


def _tool_use(part: dict[str, Any]) -> dict[str, Any]:
    given = part.get("input")
    arguments = dumps({} if given is None else given)
    return {"id": part.get("id"), "name": part.get("name"), "arguments": arguments, "type": "tool_use"}


def _is_call(value: Any) -> bool:
    """Tell whether an object is a call that a model asks for, not a definition and not a result."""
    if not isinstance(value, dict) or value.get("type") == "tool-result":
        return False
    function = value.get("function")
    if isinstance(function, dict) and truthy(function.get("name")) and "arguments" in function:
        return True
    if truthy(value.get("toolName")) and (
        value.get("type") == "tool-call" or "input" in value or "args" in value
    ):
        return True
    if not truthy(value.get("name")):
        return False
    if value.get("type") == "tool_use" and "input" in value:
        return True
    if "arguments" not in value:
        return False
    marked = "id" in value or "index" in value or string(value.get("type")) in _CALL_TYPES
    return marked or truthy(value.get("call_id"))


def _is_message(value: dict[str, Any]) -> bool:
    return any(key in value for key in _MESSAGE_KEYS)


def _add_call(tools: Tools, call: Any, seen: set[str]) -> None:
    """Add a call, unless it has no name or is there already: same id, or same name and arguments."""
    if not isinstance(call, dict):
        return
    function = call.get("function")
    inner = function if isinstance(function, dict) else {}
    name = _present(inner.get("name"), call.get("name"), call.get("toolName"))
    if not truthy(name):
        return
    given = _present(inner.get("arguments"), call.get("arguments"), call.get("args"), call.get("input"))
    arguments = given if isinstance(given, str) else dumps({} if given is None else given)
    identifier = _or_empty(_first(call, "call_id", "id", "toolCallId"))
    key = string(identifier) if truthy(identifier) else f"{string(name)}-{arguments}"
    if key in seen:
        return
    seen.add(key)
    kind = call.get("type")
    if kind is None:
        kind = "function" if truthy(function) else ""
    index = call.get("index")
    tools.call_names.append(string(name))
    tools.calls.append(
        dumps(
            {
                "id": identifier,
                "arguments": arguments,
                "type": kind,
                "index": 0 if index is None else index,
            }
        )
    )


def _first(values: dict[str, Any], *keys: str) -> Any:
    return _present(*(values.get(key) for key in keys))


def _present(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _parsed_list(value: Any) -> list[Any] | None:
    """Return a list, also out of its JSON text; ``None`` for anything else."""
    document = parsed(value)
    return document if isinstance(document, list) else None
