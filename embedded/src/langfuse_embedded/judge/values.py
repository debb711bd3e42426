"""What fills the variables of a prompt: parts of an observation, read as the server reads them.

Texts that are JSON (or a Python dictionary) are read three levels deep, numbers in texts stay texts
(`packages/shared/src/utils/json.ts`, `.../server/evals/extractObservationVariables.ts`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from langfuse_embedded.javascript.values import InvalidJson, dumps, loads, string
from langfuse_embedded.store.bodies import Body
from langfuse_embedded.store.documents import load_or_none

from .jsonpath import Unsupported, find

_NUMBER = re.compile(r"\s*-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\s*", re.ASCII)
_MAX_DEPTH = 3
_MAX_TEXT = 500_000
_MAX_PYTHON = 1_000_000
_PYTHON = (("True", "true"), ("False", "false"), ("None", "null"))


def variables(
    mapping: Sequence[Mapping[str, str]], body: Body, called_tools: Sequence[str]
) -> dict[str, str]:
    """Return the text of each mapped variable of an observation; what is not there is empty."""
    sources: dict[str, Any] = {}
    filled = {}
    for entry in mapping:
        source = entry["source"]
        if source not in sources:
            sources[source] = _source(source, body, called_tools)
        filled[entry["variable"]] = text_of(_selected(sources[source], entry.get("jsonPath")))
    return filled


def text_of(value: Any) -> str:
    """Return a value as it is in a prompt: texts as they are, objects as compact JSON."""
    if value is None:
        return ""
    return dumps(value) if isinstance(value, list | dict) else string(value)


def deeply_parsed(value: Any, depth: int = 0) -> Any:
    """Return a value with the JSON in its texts read."""
    if depth >= _MAX_DEPTH:
        return value
    if isinstance(value, str):
        if _NUMBER.fullmatch(value):
            return value
        parsed = _loaded(value)
        return value if parsed is None else deeply_parsed(parsed[0], depth + 1)
    if isinstance(value, list):
        return [deeply_parsed(one, depth + 1) for one in value]
    if isinstance(value, dict):
        return {key: deeply_parsed(one, depth + 1) for key, one in value.items()}
    return value


def _loaded(text: str) -> tuple[Any] | None:
    try:
        return (loads(text),)
    except InvalidJson:
        pass
    stripped = text.strip()
    if "'" not in text or stripped[:1] not in ("{", "[") or len(text) > _MAX_PYTHON:
        return None
    for word, other in _PYTHON:
        stripped = re.sub(rf"\b{word}\b", other, stripped)
    try:
        return (loads(stripped.replace("'", '"')),)
    except InvalidJson:
        return None


def _source(name: str, body: Body, called_tools: Sequence[str]) -> Any:
    more = body.more.get("experiment") or {}
    value: Any
    if name == "tool_calls":
        return _tool_calls(called_tools, body.more.get("tool_calls") or [])
    if name == "metadata":
        value = _object(body.metadata)
    elif name == "experiment_item_metadata":
        pairs = more.get("item_metadata") or []
        value = _object(pairs) if pairs else None
    elif name == "expected_output":
        value = more.get("item_expected_output")
    else:
        value = body.input if name == "input" else body.output
    if isinstance(value, dict) and len(dumps(value)) > _MAX_TEXT:
        return value
    return deeply_parsed(value)


def _object(pairs: Sequence[Sequence[str]]) -> dict[str, str]:
    """Return names and values; of two equal names the first counts."""
    found: dict[str, str] = {}
    for name, value in pairs:
        found.setdefault(name, value)
    return found


def _tool_calls(names: Sequence[str], calls: Sequence[str]) -> list[dict[str, Any]]:
    zipped: list[dict[str, Any]] = []
    for place, name in enumerate(names):
        entry = load_or_none(calls[place]) if place < len(calls) else None
        entry = entry if isinstance(entry, dict) else {}
        arguments = entry.get("arguments")
        if isinstance(arguments, str):
            parsed = _loaded_json(arguments)
            arguments = arguments if parsed is None else parsed
        zipped.append(
            {
                "id": _text(entry.get("id")),
                "name": name,
                "arguments": {} if arguments is None else arguments,
                "type": _text(entry.get("type")),
                "index": entry["index"] if isinstance(entry.get("index"), int) else 0,
            }
        )
    return zipped


def _loaded_json(text: str) -> Any:
    try:
        return loads(text)
    except InvalidJson:
        return None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _selected(value: Any, path: str | None) -> Any:
    if not path or not value:
        return value
    if isinstance(value, str):
        # Encoded more often than `deeply_parsed` reads.
        parsed = _loaded(value) if not _NUMBER.fullmatch(value) else None
        value = parsed[0] if parsed else value
    if not isinstance(value, list | dict):
        return value
    try:
        found = find(path, value)
    except Unsupported:
        return value
    if not found:
        return None
    return found[0] if len(found) == 1 else found
