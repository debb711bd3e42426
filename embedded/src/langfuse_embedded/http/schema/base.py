"""What every shape is: it parses a value or reports issues, and can be made optional, checked, converted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from langfuse_embedded.http.errors import InvalidData

Path = tuple[str | int, ...]


class Missing:
    """JavaScript's `undefined`: a key that is not there."""

    def __repr__(self) -> str:
        return "undefined"


MISSING = Missing()


class Issues:
    """The issues found so far, and whether one of them ends the value (zod: aborted).

    `unconverted` says that a transformation was not reached: checks behind it have nothing to look at.
    """

    __slots__ = ("aborted", "found", "unconverted")

    def __init__(self) -> None:
        self.found: list[dict[str, Any]] = []
        self.aborted = False
        self.unconverted = False

    def stop(self, path: Path, message: str, **details: Any) -> None:
        """Add an issue after which the value is of no use."""
        self.found.append({**details, "path": list(path), "message": message})
        self.aborted = True

    def add(self, path: Path, message: str, **details: Any) -> None:
        """Add an issue that lets further checks go on."""
        self.found.append({**details, "path": list(path), "message": message})

    def add_mismatch(self, path: Path, message: str, pattern: str) -> None:
        """Add that a text does not match a pattern, which is written as in JavaScript."""
        self.add(path, message, origin="string", code="invalid_format", format="regex", pattern=pattern)


def type_name(value: Any) -> str:
    """Return the name that zod gives the type of a value."""
    if value is MISSING:
        return "undefined"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, float) and value != value:
        return "NaN"
    for kind, name in (
        (int, "number"),
        (float, "number"),
        (str, "string"),
        (list, "array"),
        (dict, "object"),
    ):
        if isinstance(value, kind):
            return name
    return type(value).__name__


def wrong_type(expected: str, value: Any, path: Path, issues: Issues) -> None:
    issues.stop(
        path,
        f"Invalid input: expected {expected}, received {type_name(value)}",
        expected=expected,
        code="invalid_type",
    )


class Length(NamedTuple):
    """How long a text or a list may be, and what is said instead of zod's own words."""

    least: int | None
    most: int | None
    small: str | None
    big: str | None


def check_length(value: Any, path: Path, issues: Issues, length: Length) -> None:
    """Report a text or a list that is too short or too long.

    Zod looks at the length of whatever has one, also where the shape asks for another type.
    """
    if not isinstance(value, str | list):
        return
    origin, parts = ("string", "characters") if isinstance(value, str) else ("array", "items")
    size = _utf16_length(value) if isinstance(value, str) else len(value)
    least, most, small, big = length
    if least is not None and size < least:
        message = small or f"Too small: expected {origin} to have >={least} {parts}"
        issues.add(path, message, origin=origin, code="too_small", minimum=least, inclusive=True)
    if most is not None and size > most:
        message = big or f"Too big: expected {origin} to have <={most} {parts}"
        issues.add(path, message, origin=origin, code="too_big", maximum=most, inclusive=True)


def _utf16_length(text: str) -> int:
    # What JavaScript calls the length: characters beyond the first 65,536 count twice.
    return len(text) if text.isascii() else len(text) + sum(char > "\uffff" for char in text)


class Schema:
    """A shape. `parse_at` returns the parsed value or collects issues."""

    optional_key = False
    """May an object's key of this shape be left out?"""
    stays_absent = False
    """Is a key that is left out simply not in the result?"""

    def parse_at(self, value: Any, path: Path, issues: Issues) -> Any:
        """Return the parsed `value`, or report to `issues` and return anything."""
        raise NotImplementedError

    def parse(self, value: Any) -> Any:
        """Return the parsed value.

        Raises:
            InvalidData: with every issue found.
        """
        issues = Issues()
        result = self.parse_at(value, (), issues)
        if issues.found:
            raise InvalidData(issues.found)
        return result

    def optional(self) -> Schema:
        """Allow the key to be left out; it is then absent from the result."""
        return _Optional(self, absent=True, null=False)

    def nullable(self) -> Schema:
        """Allow null."""
        return _Optional(self, absent=False, null=True)

    def nullish(self) -> Schema:
        """Allow null, or the key to be left out."""
        return _Optional(self, absent=True, null=True)

    def default(self, value: Any) -> Schema:
        """Use `value` where the key is left out."""
        return _Default(self, value)

    def refine(
        self,
        check: Callable[[Any], bool],
        message: str | Callable[[Any], str],
        path: Sequence[str | int] = (),
    ) -> Schema:
        """Report `message` at `path` below this value when `check` is false and nothing worse was found."""
        return _Refined(self, check, message, tuple(path))

    def super_refine(self, problems: Callable[[Any], Iterable[str]]) -> Schema:
        """Report all `problems` of this value at once when nothing worse was found (zod: `superRefine`)."""
        return _SuperRefined(self, problems)

    def transform(self, convert: Callable[[Any], Any]) -> Schema:
        """Convert the value when it is valid. `convert` must not fail."""
        return _Transformed(self, convert)


class _Optional(Schema):
    def __init__(self, inner: Schema, *, absent: bool, null: bool) -> None:
        self.inner, self.null = inner, null
        self.absent = absent or inner.optional_key
        self.optional_key = self.stays_absent = self.absent

    def parse_at(self, value: Any, path: Path, issues: Issues) -> Any:
        if (value is MISSING and self.absent) or (value is None and self.null):
            return value
        return self.inner.parse_at(value, path, issues)


class _Default(Schema):
    optional_key = True

    def __init__(self, inner: Schema, value: Any) -> None:
        self.inner, self.value = inner, value

    def parse_at(self, value: Any, path: Path, issues: Issues) -> Any:
        if value is MISSING:
            return self.value() if callable(self.value) else self.value
        return self.inner.parse_at(value, path, issues)


class _Refined(Schema):
    def __init__(
        self, inner: Schema, check: Callable[[Any], bool], message: str | Callable[[Any], str], path: Path
    ) -> None:
        self.inner, self.check, self.message, self.path = inner, check, message, path
        self.optional_key = inner.optional_key

    def parse_at(self, value: Any, path: Path, issues: Issues) -> Any:
        local = Issues()
        result = self.inner.parse_at(value, path, local)
        unconverted = local.unconverted and isinstance(self.inner, _Refined | _Transformed)
        if not (local.aborted or unconverted or result is MISSING):
            for message in self.problems(result):
                local.add((*path, *self.path), message, code="custom")
        _merge(issues, local)
        issues.unconverted = unconverted
        return result

    def problems(self, value: Any) -> Iterable[str]:
        """Return what there is to be said against a value."""
        if self.check(value):
            return ()
        return (self.message(value) if callable(self.message) else self.message,)


class _SuperRefined(_Refined):
    def __init__(self, inner: Schema, problems: Callable[[Any], Iterable[str]]) -> None:
        super().__init__(inner, bool, "", ())
        self.find = problems

    def problems(self, value: Any) -> Iterable[str]:
        return self.find(value)


class _Transformed(Schema):
    def __init__(self, inner: Schema, convert: Callable[[Any], Any]) -> None:
        self.inner, self.convert = inner, convert
        self.optional_key = inner.optional_key

    def parse_at(self, value: Any, path: Path, issues: Issues) -> Any:
        local = Issues()
        result = self.inner.parse_at(value, path, local)
        _merge(issues, local)
        issues.unconverted = bool(local.found)
        if local.found or result is MISSING:
            return result
        return self.convert(result)


def _merge(into: Issues, local: Issues) -> None:
    into.found.extend(local.found)
    into.aborted = into.aborted or local.aborted


class Unchanged(Schema):
    """A value that must fit a shape and is kept as it was sent."""

    def __init__(self, inner: Schema) -> None:
        self.inner = inner
        self.optional_key = inner.optional_key

    def parse_at(self, value: Any, path: Path, issues: Issues) -> Any:
        self.inner.parse_at(value, path, issues)
        return value


class Anything(Schema):
    """Anything, also nothing."""

    optional_key = True

    def parse_at(self, value: Any, path: Path, issues: Issues) -> Any:
        return value
