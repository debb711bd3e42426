"""JSON as HTML: indented, names and values marked for the stylesheet, every text escaped."""

from __future__ import annotations

import json
from typing import Any

from markupsafe import Markup, escape

_MAX_DEPTH = 64


class Literal(str):
    """A number or constant as it was written: reading it as a float could change it."""

    __slots__ = ()


def parse(text: str) -> Any:
    """Return the value of a JSON document, its numbers as `Literal`.

    Raises:
        ValueError: it is not JSON, or nests too deeply to be read.
    """
    try:
        return json.loads(text, parse_int=Literal, parse_float=Literal, parse_constant=Literal)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def render(value: Any) -> Markup:
    """Return a value that `parse` gave as HTML for a `<pre>`; its deepest levels stand on one line."""
    parts: list[str] = []
    _write(value, 0, parts)
    return Markup("".join(parts))  # noqa: S704  each text was escaped in _write


def _write(value: Any, depth: int, parts: list[str]) -> None:
    if isinstance(value, dict | list) and value and depth < _MAX_DEPTH:
        _write_container(value, depth, parts)
    elif isinstance(value, Literal) or value is None or isinstance(value, bool):
        text = value if isinstance(value, Literal) else json.dumps(value)
        parts.append(f'<span class="n">{escape(str(text))}</span>')
    else:
        parts.append(str(escape(_flat(value))))


def _write_container(value: Any, depth: int, parts: list[str]) -> None:
    opening, closing = ("{", "}") if isinstance(value, dict) else ("[", "]")
    indent = "\n" + "  " * (depth + 1)
    parts.append(opening)
    named = value.items() if isinstance(value, dict) else ((None, one) for one in value)
    comma = ""
    for name, one in named:
        parts.append(comma + indent)
        if name is not None:
            parts.append(f'<span class="k">{escape(_flat(name))}</span>: ')
        _write(one, depth + 1, parts)
        comma = ","
    parts.append("\n" + "  " * depth + closing)


def _flat(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return "…"
