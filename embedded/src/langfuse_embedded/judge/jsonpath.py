"""JSONPath as the server applies it to an observation: jsonpath-plus 10.3.0 with `eval: false`.

A path is a list of steps; each leads from a place to others:

| step | leads to |
|---|---|
| a name or an index | that member; lists and texts have `length`, texts have characters |
| `*`, `a,b`, `1:3` | all members; each of several; a slice |
| `..` | the place itself and all objects and lists below it, for the step that follows |
| `^`, `~` | the parent; the name of the place |
| `@string()`, `@null()`, ... | the place itself, if it has this type |

What follows `~` or a type is not looked at. After a name or `*`, a member that is called like a sign (`*`)
comes before what the sign means. Expressions, `[?(...)]` and `[(...)]`, raise `Unsupported` when there is a
place to apply them to; then the whole value counts, as on the server.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

_SLICE = re.compile(r"(-?[0-9]*):(-?[0-9]*):?([0-9]*)")
_INDEX = re.compile(r"0|[1-9][0-9]*")
_NAME_IN_QUOTES = re.compile(r"""\[['"]([^'\[\];^]*)['"]\]""")
_EXPRESSION = re.compile(r"\[(\??\(.*?\))\]")
_MOST_PLACES = 200_000
MAX_LENGTH = 1_000
"""Characters of a path: reading it takes as long as their square."""


class Unsupported(ValueError):
    """A path has a part that is not applied, or leads to more places than can be looked at."""


@dataclass(frozen=True, slots=True)
class _Place:
    value: Any
    name: str | int | None = None
    parent: _Place | None = None


# The steps that are left, a place, and whether members come before signs there.
_Lead = tuple[list[str], _Place, bool]


def find(path: str, document: Any) -> list[Any]:
    """Return what a path finds in a document, in the order of the server.

    Raises:
        Unsupported: the path has a part that is not applied.
    """
    if len(path) > MAX_LENGTH:
        raise Unsupported("it is too long")
    steps = _steps(path)
    if steps[:1] == ["$"] and len(steps) > 1:
        del steps[0]
    try:
        found = [place.value for place in _Search().find(steps, _Place(document))]
    except RecursionError:
        raise Unsupported(path) from None
    if steps[0] in ("^", "~") or (found and steps[0].removeprefix("@") in _TYPES):
        raise Unsupported(path)  # of the root itself the server asks this in vain
    return found


def _steps(path: str) -> list[str]:
    """Return the steps of a path. Two boundaries without a name between them are the step `..`."""
    steps = _Steps()
    in_brackets, position = False, 0
    while position < len(path):
        character = path[position]
        sign = character if character == "~" else _type_at(path, position)
        quoted = _NAME_IN_QUOTES.match(path, position) or _EXPRESSION.match(path, position)
        if sign:
            steps.bound()
            steps.add(sign)
            steps.bound()
            position += len(sign)
        elif quoted:
            steps.bound()
            steps.add(quoted[1])
            position = quoted.end()
        elif character == "^":
            steps.add_parent()
            position += 1
        elif character in "[;" or (character == "." and not in_brackets):
            in_brackets = character == "[" or (in_brackets and character == ";")
            steps.bound()
            position += 1
            if character != ";" and path[position : position + 1] in ("'", '"'):
                position += 1
        elif character == "]":
            in_brackets = False
            steps.close()
            position += 1
        else:
            steps.add(character)
            position += 1
    return steps.all()


class _Steps:
    """Collects the steps of a path between its boundaries."""

    def __init__(self) -> None:
        self._names = [""]
        self._boundaries = 0
        self._is_taken = False

    def bound(self) -> None:
        """End a step."""
        # The boundary behind a parent belongs to it.
        self._boundaries += not self._is_taken
        self._is_taken = False

    def add(self, text: str) -> None:
        """Go on with a step, or begin one."""
        self._names += _below(self._boundaries)
        if self._boundaries:
            self._names.append("")
        self._boundaries, self._is_taken = 0, False
        self._names[-1] += text

    def add_parent(self) -> None:
        """Add the step to a parent, with the boundaries on both of its sides."""
        self._boundaries = max(self._boundaries, 1)
        self.add("^")
        self._boundaries, self._is_taken = 1, True

    def close(self) -> None:
        """End what a bracket began."""
        self.add("")
        self._names[-1] = self._names[-1].removesuffix("'")

    def all(self) -> list[str]:
        """Return the steps."""
        return [*self._names, *_below(self._boundaries)]


def _below(boundaries: int) -> list[str]:
    """Return the steps that boundaries without names make: `..` for two or three, and again for more."""
    threes, left = divmod(boundaries, 3)
    steps = ["..", ""] * (threes + (left == 2))
    return steps if left == 1 else steps[:-1]


def _type_at(path: str, position: int) -> str:
    if path[position] != "@":
        return ""
    return next((f"@{name}" for name in _TYPE_NAMES if path.startswith(name, position + 1)), "")


class _Search:
    """One search; counts the places that it looks at."""

    def __init__(self) -> None:
        self._left = _MOST_PLACES

    def find(self, steps: list[str], place: _Place, *, literal: bool = False) -> Iterator[_Place]:
        """Yield what the steps lead to; where `literal`, members come before what signs mean."""
        self._left -= 1
        if self._left < 0:
            raise Unsupported("it leads to too many places")
        if not steps:
            yield place
            return
        step, rest = steps[0], steps[1:]
        member = _member(place, step)
        if literal and member is not None:
            yield from self.find(rest, member)
        elif step == "~":
            yield _Place(place.name)
        elif step.startswith("@"):
            if _has_type(place.value, step[1:]):
                yield place
        else:
            lead = _SIGNS.get(step, _lead)
            for onward, other, is_literal in lead(step, rest, place, literal):
                yield from self.find(onward, other, literal=is_literal)


def _all(_: str, rest: list[str], place: _Place, __: bool) -> Iterator[_Lead]:
    return ((rest, child, True) for child in _members(place))


def _deep(step: str, rest: list[str], place: _Place, _: bool) -> Iterator[_Lead]:
    yield rest, _again(place), False
    for child in _members(place):
        if child.value is None or isinstance(child.value, dict | list):
            yield [step, *rest], child, False


def _up(_: str, rest: list[str], place: _Place, __: bool) -> Iterator[_Lead]:
    if place.parent is not None:
        yield rest, place.parent, False


def _root(_: str, rest: list[str], place: _Place, __: bool) -> Iterator[_Lead]:
    yield rest, _Place(place.value, None, place), False


_SIGNS = {"*": _all, "..": _deep, "^": _up, "$": _root}


def _lead(step: str, rest: list[str], place: _Place, literal: bool) -> Iterator[_Lead]:
    if part := _SLICE.fullmatch(step):
        for child in _slice(place, part):
            yield rest, child, False
    elif step.startswith(("?(", "(")):
        raise Unsupported(step)
    elif step.startswith("`") and (named := _member(place, step[1:])) is not None:
        yield rest, named, True
    elif "," in step:
        for one in step.split(","):
            yield [one, *rest], _again(place), False
    elif not literal and (member := _member(place, step)) is not None:
        yield rest, member, True


def _again(place: _Place) -> _Place:
    """Return the place below itself: on the server a parent is what the step before looked at."""
    return _Place(place.value, place.name, place)


def _members(place: _Place) -> Iterator[_Place]:
    value = place.value
    if isinstance(value, list):
        yield from (_Place(one, index, place) for index, one in enumerate(value))
    elif isinstance(value, dict):
        yield from (_Place(one, name, place) for name, one in value.items())


def _member(place: _Place, name: str) -> _Place | None:
    value = place.value
    if isinstance(value, dict):
        return _Place(value[name], name, place) if name in value else None
    if not isinstance(value, list) and not (isinstance(value, str) and value):
        return None
    # Texts are counted as in JavaScript: by the units of UTF-16.
    units = value.encode("utf-16-le", "surrogatepass") if isinstance(value, str) else b""
    length = len(units) // 2 if isinstance(value, str) else len(value)
    if name == "length":
        return _Place(length, name, place)
    if not _INDEX.fullmatch(name) or len(name) > len(str(length)) or int(name) >= length:
        return None
    at = int(name)
    one = (
        value[at]
        if isinstance(value, list)
        else units[2 * at : 2 * at + 2].decode("utf-16-le", "surrogatepass")
    )
    return _Place(one, name, place)


def _slice(place: _Place, part: re.Match[str]) -> Iterator[_Place]:
    if not isinstance(place.value, list):
        return
    length, above = len(place.value), _again(place)
    start, end, step = (int(text) if text.lstrip("-") else 0 for text in part.groups())
    first, last = (max(0, one + length) if one < 0 else min(length, one) for one in (start, end or length))
    for index in range(first, last, step or 1):
        yield _Place(place.value[index], index, above)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_TYPES: dict[str, Callable[[Any], bool]] = {
    "null()": lambda value: value is None,
    "boolean()": lambda value: isinstance(value, bool),
    "string()": lambda value: isinstance(value, str),
    "number()": _is_number,
    "integer()": lambda value: _is_number(value) and value % 1 == 0,
    "nonFinite()": lambda value: isinstance(value, float) and not math.isfinite(value),
    "scalar()": lambda value: not isinstance(value, dict | list),
    "array()": lambda value: isinstance(value, list),
    "object()": lambda value: isinstance(value, dict | list),
}
# Nothing in JSON has these.
_NEVER = ("undefined()", "function()")
# The server gives its library nothing to decide this one with.
_UNDECIDED = "other()"
_TYPE_NAMES = (*_TYPES, *_NEVER, _UNDECIDED)


def _has_type(value: Any, name: str) -> bool:
    if name in _NEVER:
        return False
    if name not in _TYPES:
        raise Unsupported(name)
    return _TYPES[name](value)
