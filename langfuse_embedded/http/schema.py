"""Shapes of queries and bodies, with the very issues that the server reports.

The server validates with zod 4, and clients see its issues: their paths and messages are part of the
contract (`{"path": ["name"], "message": "Invalid input: expected string, received undefined"}`). The rules
that decide which issues appear together are zod's: a wrong type ends a field, several failed checks are all
reported, and a union with one branch that only failed checks reports that branch alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from langfuse_embedded.clock import parse_iso

from .errors import InvalidData

Path = tuple[str | int, ...]


class _Missing:
    """JavaScript's `undefined`: a key that is not there."""

    def __repr__(self) -> str:
        return "undefined"


MISSING = _Missing()

_SAFE_INTEGER = 2**53 - 1
_MAX_DATE_MS = 8_640_000_000_000_000

JS_WHITESPACE = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
"""What JavaScript's `trim` removes."""


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


def _wrong_type(expected: str, value: Any, path: Path, issues: Issues) -> None:
    issues.stop(
        path,
        f"Invalid input: expected {expected}, received {type_name(value)}",
        expected=expected,
        code="invalid_type",
    )


class Schema:
    """A shape. `run` returns the parsed value or collects issues."""

    optional_key = False
    """May an object's key of this shape be left out?"""

    def run(self, value: Any, path: Path, issues: Issues) -> Any:
        """Return the parsed `value`, or report to `issues` and return anything."""
        raise NotImplementedError

    def parse(self, value: Any) -> Any:
        """Return the parsed value.

        Raises:
            InvalidData: with every issue found.
        """
        issues = Issues()
        result = self.run(value, (), issues)
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

    def transform(self, convert: Callable[[Any], Any]) -> Schema:
        """Convert the value when it is valid. `convert` must not fail."""
        return _Transformed(self, convert)


class _Optional(Schema):
    def __init__(self, inner: Schema, *, absent: bool, null: bool) -> None:
        self.inner, self.null = inner, null
        self.absent = absent or inner.optional_key
        self.optional_key = self.absent

    def run(self, value: Any, path: Path, issues: Issues) -> Any:
        if (value is MISSING and self.absent) or (value is None and self.null):
            return value
        return self.inner.run(value, path, issues)


class _Default(Schema):
    optional_key = True

    def __init__(self, inner: Schema, value: Any) -> None:
        self.inner, self.value = inner, value

    def run(self, value: Any, path: Path, issues: Issues) -> Any:
        if value is MISSING:
            return self.value() if callable(self.value) else self.value
        return self.inner.run(value, path, issues)


class _Refined(Schema):
    def __init__(
        self, inner: Schema, check: Callable[[Any], bool], message: str | Callable[[Any], str], path: Path
    ) -> None:
        self.inner, self.check, self.message, self.path = inner, check, message, path
        self.optional_key = inner.optional_key

    def run(self, value: Any, path: Path, issues: Issues) -> Any:
        local = Issues()
        result = self.inner.run(value, path, local)
        unconverted = local.unconverted and isinstance(self.inner, _Refined | _Transformed)
        if not (local.aborted or unconverted or result is MISSING or self.check(result)):
            message = self.message(result) if callable(self.message) else self.message
            local.add((*path, *self.path), message, code="custom")
        _merge(issues, local)
        issues.unconverted = unconverted
        return result


class _Transformed(Schema):
    def __init__(self, inner: Schema, convert: Callable[[Any], Any]) -> None:
        self.inner, self.convert = inner, convert
        self.optional_key = inner.optional_key

    def run(self, value: Any, path: Path, issues: Issues) -> Any:
        local = Issues()
        result = self.inner.run(value, path, local)
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

    def run(self, value: Any, path: Path, issues: Issues) -> Any:
        self.inner.run(value, path, issues)
        return value


class Anything(Schema):
    """Anything, also nothing."""

    optional_key = True

    def run(self, value: Any, path: Path, issues: Issues) -> Any:
        return value


class String(Schema):
    """Text with optional length limits (in characters) and patterns, each with its own message."""

    def __init__(
        self,
        min: int | None = None,  # noqa: A002  zod's own name
        max: int | None = None,  # noqa: A002
        *,
        min_message: str | None = None,
        max_message: str | None = None,
        patterns: Sequence[tuple[str, str]] = (),
        trim: bool = False,
    ) -> None:
        self.min, self.max, self.trim = min, max, trim
        self.min_message = min_message or f"Too small: expected string to have >={min} characters"
        self.max_message = max_message or f"Too big: expected string to have <={max} characters"
        # JavaScript's `$` is the end of the text; Python's also matches before a last line break.
        self.patterns = [(re.compile(_end(pattern)), pattern, message) for pattern, message in patterns]

    def run(self, value: Any, path: Path, issues: Issues) -> Any:
        if not isinstance(value, str):
            _wrong_type("string", value, path, issues)
            return value
        if self.trim:
            value = value.strip(JS_WHITESPACE)
        if self.min is not None and len(value) < self.min:
            issues.add(
                path, self.min_message, origin="string", code="too_small", minimum=self.min, inclusive=True
            )
        if self.max is not None and len(value) > self.max:
            issues.add(
                path, self.max_message, origin="string", code="too_big", maximum=self.max, inclusive=True
            )
        for compiled, pattern, message in self.patterns:
            if not compiled.search(value):
                issues.add(
                    path,
                    message,
                    origin="string",
                    code="invalid_format",
                    format="regex",
                    pattern=f"/{pattern}/",
                )
        return value


def _end(pattern: str) -> str:
    return pattern[:-1] + r"\Z" if pattern.endswith("$") else pattern


class Datetime(Schema):
    """An ISO datetime with offset, parsed to Unix milliseconds."""

    def run(self, value: Any, path: Path, issues: Issues) -> Any:
        if not isinstance(value, str):
            _wrong_type("string", value, path, issues)
            return value
        ms = parse_iso(value)
        if ms is None:
            issues.add(
                path, "Invalid ISO datetime", origin="string", code="invalid_format", format="datetime"
            )
        return ms


class CoercedDate(Schema):
    """A date in one of the ISO forms that JavaScript's `Date` reads, as Unix milliseconds.

    A date alone is midnight in UTC; a time without offset counts as UTC, the zone that servers run in.
    """

    def run(self, value: Any, path: Path, issues: Issues) -> Any:
        ms: int | None = None
        if isinstance(value, str):
            ms = _date(value)
        elif isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _MAX_DATE_MS:
            ms = int(value)
        if ms is None:
            issues.stop(
                path, "Invalid input: expected date, received Date", expected="date", code="invalid_type"
            )
        return ms


def _date(text: str) -> int | None:
    text = text.strip()
    if re.fullmatch(r"\d{4}(-\d\d){0,2}", text, re.ASCII):
        text = f"{text}{'-01' * (2 - text.count('-'))}T00:00Z"
    for candidate in (text, f"{text}Z"):
        if (ms := parse_iso(candidate)) is not None:
            return ms
    return None


class Number(Schema):
    """A number with optional inclusive bounds (`ge`, `le`) or an exclusive lower one (`gt`).

    With `coerce`, texts are converted first as JavaScript's `Number()` does: query parameters arrive as text.
    """

    def __init__(
        self,
        *,
        integer: bool = False,
        ge: float | None = None,
        le: float | None = None,
        gt: float | None = None,
        coerce: bool = False,
    ) -> None:
        self.integer, self.ge, self.le, self.gt, self.coerce = integer, ge, le, gt, coerce

    def run(self, value: Any, path: Path, issues: Issues) -> Any:
        if self.coerce:
            value = to_number(value)
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
            _wrong_type("number", value, path, issues)
            return value
        if self.integer and isinstance(value, float):
            if not value.is_integer():
                issues.stop(
                    path,
                    "Invalid input: expected int, received number",
                    expected="int",
                    format="safeint",
                    code="invalid_type",
                )
                return value
            value = int(value)
        if self.integer and not -_SAFE_INTEGER <= value <= _SAFE_INTEGER:
            _unsafe(value, path, issues)
            return value
        if self.gt is not None and value <= self.gt:
            issues.add(
                path,
                f"Too small: expected number to be >{self.gt}",
                origin="number",
                code="too_small",
                minimum=self.gt,
                inclusive=False,
            )
        if self.ge is not None and value < self.ge:
            issues.add(
                path,
                f"Too small: expected number to be >={self.ge}",
                origin="number",
                code="too_small",
                minimum=self.ge,
                inclusive=True,
            )
        if self.le is not None and value > self.le:
            issues.add(
                path,
                f"Too big: expected number to be <={self.le}",
                origin="number",
                code="too_big",
                maximum=self.le,
                inclusive=True,
            )
        return value


_JAVASCRIPT_NUMBER = re.compile(
    r"[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|Infinity)", re.ASCII
)


def _unsafe(value: float, path: Path, issues: Issues) -> None:
    big = value > 0
    bound = f"<={_SAFE_INTEGER}" if big else f">=-{_SAFE_INTEGER}"
    issues.stop(
        path,
        f"Too {'big' if big else 'small'}: expected int to be {bound}",
        code="too_big" if big else "too_small",
        note="Integers must be within the safe integer range.",
        origin="int",
    )


def to_number(value: Any) -> Any:
    """Return what JavaScript's `Number(value)` gives for a query parameter; NaN where it is none."""
    if value is MISSING:
        return float("nan")
    if not isinstance(value, str):
        return value
    text = value.strip()
    if not text:
        return 0
    # Python's own parsers also take "nan", "inf" and "1_000".
    if not _JAVASCRIPT_NUMBER.fullmatch(text):
        return float("nan")
    return int(text) if text.lstrip("+-").isdigit() else float(text)


class Boolean(Schema):
    """True or false."""

    def run(self, value: Any, path: Path, issues: Issues) -> Any:
        if not isinstance(value, bool):
            _wrong_type("boolean", value, path, issues)
        return value


class Enum(Schema):
    """One of a list of texts."""

    def __init__(self, *values: str, message: str | None = None) -> None:
        self.values = values
        self.message = message or "Invalid option: expected one of " + "|".join(f'"{v}"' for v in values)

    def run(self, value: Any, path: Path, issues: Issues) -> Any:
        if not isinstance(value, str) or value not in self.values:
            issues.stop(path, self.message, code="invalid_value", values=list(self.values))
        return value


class Literal(Schema):
    """Exactly one value."""

    def __init__(self, value: str | int | bool | None) -> None:
        self.value = value
        shown = f'"{value}"' if isinstance(value, str) else str(value).lower()
        self.message = f"Invalid input: expected {shown}"

    def run(self, value: Any, path: Path, issues: Issues) -> Any:
        if type(value) is not type(self.value) or value != self.value:
            issues.stop(path, self.message, code="invalid_value", values=[self.value])
        return value


class Array(Schema):
    """A list of one shape, with optional limits on its length."""

    def __init__(self, item: Schema, min: int | None = None, max: int | None = None) -> None:  # noqa: A002
        self.item, self.min, self.max = item, min, max

    def run(self, value: Any, path: Path, issues: Issues) -> Any:
        if not isinstance(value, list):
            _wrong_type("array", value, path, issues)
            return value
        result = [self.item.run(entry, (*path, index), issues) for index, entry in enumerate(value)]
        if self.min is not None and len(value) < self.min:
            issues.add(
                path,
                f"Too small: expected array to have >={self.min} items",
                origin="array",
                code="too_small",
                minimum=self.min,
                inclusive=True,
            )
        if self.max is not None and len(value) > self.max:
            issues.add(
                path,
                f"Too big: expected array to have <={self.max} items",
                origin="array",
                code="too_big",
                maximum=self.max,
                inclusive=True,
            )
        return result


class Record(Schema):
    """An object with any keys and values of one shape."""

    def __init__(self, value: Schema) -> None:
        self.value = value

    def run(self, value: Any, path: Path, issues: Issues) -> Any:
        if not isinstance(value, dict):
            _wrong_type("record", value, path, issues)
            return value
        return {key: self.value.run(entry, (*path, key), issues) for key, entry in value.items()}


class Object(Schema):
    """An object with known keys. Others are dropped, kept (`loose`) or refused (`strict`)."""

    def __init__(self, shape: Mapping[str, Schema], *, strict: bool = False, loose: bool = False) -> None:
        self.shape, self.strict, self.loose = dict(shape), strict, loose

    def extend(self, shape: Mapping[str, Schema]) -> Object:
        """Return this shape with further keys."""
        return Object({**self.shape, **shape}, strict=self.strict, loose=self.loose)

    def run(self, value: Any, path: Path, issues: Issues) -> Any:
        if not isinstance(value, dict):
            _wrong_type("object", value, path, issues)
            return value
        result: dict[str, Any] = {}
        for key, schema in self.shape.items():
            parsed = schema.run(value.get(key, MISSING), (*path, key), issues)
            if parsed is not MISSING:
                result[key] = parsed
        unknown = [key for key in value if key not in self.shape]
        if unknown and self.strict:
            shown = ", ".join(f'"{key}"' for key in unknown)
            plural = "keys" if len(unknown) > 1 else "key"
            issues.stop(path, f"Unrecognized {plural}: {shown}", code="unrecognized_keys", keys=unknown)
        elif self.loose:
            result.update((key, value[key]) for key in unknown)
        return result


class Null(Schema):
    """Null and nothing else."""

    def run(self, value: Any, path: Path, issues: Issues) -> Any:
        if value is not None:
            _wrong_type("null", value, path, issues)
        return value


class Union(Schema):
    """The first shape that fits."""

    def __init__(self, *options: Schema, message: str = "Invalid input") -> None:
        self.options, self.message = options, message
        self.optional_key = any(option.optional_key for option in options)

    def run(self, value: Any, path: Path, issues: Issues) -> Any:
        attempts = []
        for option in self.options:
            local = Issues()
            result = option.run(value, (), local)
            if not local.found:
                return result
            attempts.append((local, result))
        usable = [(local, result) for local, result in attempts if not local.aborted]
        if len(usable) == 1:
            local, result = usable[0]
            for issue in local.found:
                issues.found.append({**issue, "path": [*path, *issue["path"]]})
            return result
        issues.stop(path, self.message, code="invalid_union", errors=[local.found for local, _ in attempts])
        return value


class Tagged(Schema):
    """A union whose branch is named by one key (zod: discriminated union)."""

    def __init__(self, key: str, branches: Mapping[str | _Missing, Schema]) -> None:
        self.key, self.branches = key, branches

    def run(self, value: Any, path: Path, issues: Issues) -> Any:
        if not isinstance(value, dict):
            issues.stop(
                path,
                f"Invalid input: expected object, received {type_name(value)}",
                code="invalid_type",
                expected="object",
            )
            return value
        tag = value.get(self.key, MISSING)
        branch = self.branches.get(tag) if isinstance(tag, str | _Missing) else None
        if branch is None:
            issues.stop(
                (*path, self.key),
                "Invalid input",
                code="invalid_union",
                errors=[],
                note="No matching discriminator",
                discriminator=self.key,
            )
            return value
        return branch.run(value, path, issues)


class Both(Schema):
    """Two object shapes that must both fit; the keys of both are in the result (zod: intersection)."""

    def __init__(self, left: Schema, right: Schema) -> None:
        self.left, self.right = left, right

    def run(self, value: Any, path: Path, issues: Issues) -> Any:
        left = self.left.run(value, path, issues)
        right = self.right.run(value, path, issues)
        if isinstance(left, dict) and isinstance(right, dict):
            return {**left, **right}
        return right
