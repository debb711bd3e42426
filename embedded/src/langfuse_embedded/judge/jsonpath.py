"""JSONPath as the server applies it to an observation: jsonpath-plus without expressions.

Supported are names, `['names']`, indices, `*`, unions, slices and `..`; on a list `length` is a name, as in
JavaScript. What the server's library knows besides (parents, types, expressions) raises `Unsupported`, and
then the whole value counts, as it does there when a path fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_NAME = re.compile(r"[^.\[\]]+")
_INDEX = re.compile(r"-?\d+\Z")
_SLICE = re.compile(r"(-?\d*):(-?\d*)(?::(-?\d*))?\Z")
_QUOTED = re.compile(r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)\"""")


class Unsupported(ValueError):
    """A path has a part that is not applied."""


def find(path: str, document: Any) -> list[Any]:
    """Return what a path finds in a document, in document order.

    Raises:
        Unsupported: the path has a part that is not applied.
    """
    found = [document]
    for deep, keys in _steps(path):
        values = [one for value in found for one in _descendants(value)] if deep else found
        found = [child for value in values for key in keys for child in _children(value, key)]
    return found


def _steps(path: str) -> list[tuple[bool, list[str]]]:
    """Return the steps of a path: whether it looks at all depths, and the keys."""
    position = int(path.startswith("$"))
    steps: list[tuple[bool, list[str]]] = []
    while position < len(path):
        deep = path.startswith("..", position)
        position += 2 if deep else int(path.startswith(".", position))
        if path.startswith("[", position):
            inside, position = _bracketed(path, position)
            keys = _keys(inside)
        else:
            name = _NAME.match(path, position)
            if name is None:
                raise Unsupported(path)
            keys, position = [_plain(name[0])], name.end()
        steps.append((deep, keys))
    return steps


def _bracketed(path: str, start: int) -> tuple[str, int]:
    quote, position = "", start + 1
    while position < len(path):
        character = path[position]
        if quote:
            position += int(character == "\\")
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == "]":
            return path[start + 1 : position], position + 1
        position += 1
    raise Unsupported(path)


def _keys(inside: str) -> list[str]:
    names = [one[0] for one in _QUOTED.finditer(inside)]
    if names and "".join(_QUOTED.sub("", inside).split()).strip(",") == "":
        return ["'" + re.sub(r"\\(.)", r"\1", name[1:-1]) for name in names]
    return [_plain(part.strip()) for part in inside.split(",")]


def _plain(name: str) -> str:
    if name.startswith(("?", "(", "@", "`")) or name.endswith(("^", "~", "()")):
        raise Unsupported(name)
    return name


def _children(value: Any, key: str) -> Iterator[Any]:
    if key.startswith("'"):
        key = key[1:]
    elif key == "*":
        yield from value if isinstance(value, list) else value.values() if isinstance(value, dict) else ()
        return
    elif isinstance(value, list) and (part := _SLICE.fullmatch(key)):
        first, last, step = (int(text) if text else None for text in part.groups())
        yield from value[first : last : max(step or 1, 1)]
        return
    if isinstance(value, dict):
        if key in value:
            yield value[key]
    elif isinstance(value, list):
        if key == "length":
            yield len(value)
        elif _INDEX.fullmatch(key) and 0 <= int(key) < len(value):
            yield value[int(key)]


def _descendants(value: Any) -> Iterator[Any]:
    yield value
    children = value if isinstance(value, list) else value.values() if isinstance(value, dict) else ()
    for child in children:
        yield from _descendants(child)
