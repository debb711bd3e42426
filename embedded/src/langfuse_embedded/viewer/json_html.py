"""JSON as HTML: indented, names and values marked for the stylesheet, every text escaped."""

from __future__ import annotations

import json
from typing import Any

from markupsafe import Markup, escape

_MAX_DEPTH = 64
_FOLDED_LINES = 20
_FOLDED = '<details class="fold">'


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
    """Return a value that `parse` gave as HTML that keeps white space.

    Objects and lists inside it that take many lines are folded; the deepest levels stand on one line.
    """
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
    inner: list[str] = [opening]
    named = value.items() if isinstance(value, dict) else ((None, one) for one in value)
    comma = ""
    for name, one in named:
        inner.append(comma + indent)
        if name is not None:
            inner.append(f'<span class="k">{escape(_flat(name))}</span>: ')
        _write(one, depth + 1, inner)
        comma = ","
    inner.append("\n" + "  " * depth + closing)
    # Around each level once: what is folded inside does not count.
    if depth and sum(part.count("\n") for part in inner if not part.startswith(_FOLDED)) > _FOLDED_LINES:
        what = f"{len(value):,} {'fields' if isinstance(value, dict) else 'entries'}"
        folded = f"{_FOLDED}<summary>{opening} {what} {closing}</summary>{''.join(inner)}</details>"
        parts.append(folded)
    else:
        parts.extend(inner)


def _flat(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return "…"
