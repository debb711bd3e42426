"""Shapes of single values: texts, times, numbers, true and false, one of a list."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from langfuse_embedded.clock import parse_iso
from langfuse_embedded.javascript.dates import milliseconds
from langfuse_embedded.javascript.values import WHITESPACE as JS_WHITESPACE
from langfuse_embedded.javascript.values import number

from .base import MISSING, Issues, Length, Path, Schema, check_length, type_name, wrong_type

_SAFE_INTEGER = 2**53 - 1
# As zod shows it; what fits is decided by `parse_iso`.
_DATETIME = (
    r"/^(?:(?:\d\d[2468][048]|\d\d[13579][26]|\d\d0[48]|[02468][048]00|[13579][26]00)-02-29|\d{4}-(?:(?:0[13578]"
    r"|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|(?:02)-(?:0[1-9]|1\d|2[0-8])))T(?:(?:"
    r"[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?(?:Z|([+-](?:[01]\d|2[0-3]):[0-5]\d)))$/"
)
_NOT_FINITE = (float("inf"), float("-inf"))


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
        self.trim = trim
        is_limited = min is not None or max is not None
        self.length = Length(min, max, min_message, max_message) if is_limited else None
        # JavaScript's `$` is the end of the text; Python's also matches before a last line break.
        self.patterns = [(re.compile(_end(pattern)), pattern, message) for pattern, message in patterns]

    def parse_at(self, value: Any, path: Path, issues: Issues) -> Any:
        is_text = isinstance(value, str)
        if not is_text:
            wrong_type("string", value, path, issues)
        elif self.trim:
            value = value.strip(JS_WHITESPACE)
        if self.length is not None:
            check_length(value, path, issues, self.length)
        if not is_text:
            return value
        for compiled, pattern, message in self.patterns:
            if not compiled.search(value):
                issues.add_mismatch(path, message, f"/{pattern}/")
        return value


def _end(pattern: str) -> str:
    return pattern[:-1] + r"\Z" if pattern.endswith("$") else pattern


class Datetime(Schema):
    """An ISO datetime with offset, parsed to Unix milliseconds."""

    def parse_at(self, value: Any, path: Path, issues: Issues) -> Any:
        if not isinstance(value, str):
            wrong_type("string", value, path, issues)
            return value
        ms = parse_iso(value)
        if ms is None:
            issues.add(
                path,
                "Invalid ISO datetime",
                origin="string",
                code="invalid_format",
                format="datetime",
                pattern=_DATETIME,
            )
            # What follows compares the times all the same, as JavaScript reads them.
            return milliseconds(value)
        return ms


class CoercedDate(Schema):
    """A date as JavaScript's `new Date(value)` reads it, as Unix milliseconds."""

    def parse_at(self, value: Any, path: Path, issues: Issues) -> Any:
        ms = None if value is MISSING else milliseconds(value)
        if ms is None:
            issues.stop(
                path,
                "Invalid input: expected date, received Date",
                expected="date",
                code="invalid_type",
                received="Invalid Date",
            )
        return ms


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
        messages: Mapping[str, str] | None = None,
    ) -> None:
        self.integer, self.ge, self.le, self.gt, self.coerce = integer, ge, le, gt, coerce
        # What is said instead of zod's own words, by the name of the rule.
        self.messages = messages or {}

    def parse_at(self, value: Any, path: Path, issues: Issues) -> Any:
        if self.coerce:
            value = to_number(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            wrong_type("number", value, path, issues)
            return value
        if value in _NOT_FINITE or value != value:
            issues.stop(
                path,
                f"Invalid input: expected number, received {type_name(value)}",
                expected="number",
                code="invalid_type",
                received="NaN" if value != value else "Infinity",
            )
            return value
        if self.integer and isinstance(value, float):
            if not value.is_integer():
                issues.stop(
                    path,
                    self.messages.get("integer", "Invalid input: expected int, received number"),
                    expected="int",
                    format="safeint",
                    code="invalid_type",
                )
                return value
            value = int(value)
        if self.integer and not -_SAFE_INTEGER <= value <= _SAFE_INTEGER:
            _unsafe(value, path, issues, self.messages.get("integer"))
        if self.gt is not None and value <= self.gt:
            issues.add(
                path,
                self.messages.get("gt", f"Too small: expected number to be >{self.gt}"),
                origin="number",
                code="too_small",
                minimum=self.gt,
                inclusive=False,
            )
        if self.ge is not None and value < self.ge:
            issues.add(
                path,
                self.messages.get("ge", f"Too small: expected number to be >={self.ge}"),
                origin="number",
                code="too_small",
                minimum=self.ge,
                inclusive=True,
            )
        if self.le is not None and value > self.le:
            issues.add(
                path,
                self.messages.get("le", f"Too big: expected number to be <={self.le}"),
                origin="number",
                code="too_big",
                maximum=self.le,
                inclusive=True,
            )
        return value


def _unsafe(value: float, path: Path, issues: Issues, message: str | None) -> None:
    big = value > 0
    bound = f"<={_SAFE_INTEGER}" if big else f">=-{_SAFE_INTEGER}"
    limit = {"maximum": _SAFE_INTEGER} if big else {"minimum": -_SAFE_INTEGER}
    issues.add(
        path,
        message or f"Too {'big' if big else 'small'}: expected int to be {bound}",
        code="too_big" if big else "too_small",
        **limit,
        note="Integers must be within the safe integer range.",
        origin="int",
        inclusive=True,
    )


def to_number(value: Any) -> Any:
    """Return what JavaScript's `Number(value)` gives for a query parameter; NaN where it is none."""
    found = None if value is MISSING else number(value)
    return float("nan") if found is None else found


class Boolean(Schema):
    """True or false."""

    def parse_at(self, value: Any, path: Path, issues: Issues) -> Any:
        if not isinstance(value, bool):
            wrong_type("boolean", value, path, issues)
        return value


class Enum(Schema):
    """One of a list of texts."""

    def __init__(self, *values: str, message: str | None = None) -> None:
        self.values = values
        self.message = message or "Invalid option: expected one of " + "|".join(f'"{v}"' for v in values)

    def parse_at(self, value: Any, path: Path, issues: Issues) -> Any:
        if not isinstance(value, str) or value not in self.values:
            issues.stop(path, self.message, code="invalid_value", values=list(self.values))
        return value


class Literal(Schema):
    """Exactly one value."""

    def __init__(self, value: str | int | bool | None) -> None:
        self.value = value
        shown = f'"{value}"' if isinstance(value, str) else str(value).lower()
        self.message = f"Invalid input: expected {shown}"

    def parse_at(self, value: Any, path: Path, issues: Issues) -> Any:
        if type(value) is not type(self.value) or value != self.value:
            issues.stop(path, self.message, code="invalid_value", values=[self.value])
        return value


class Null(Schema):
    """Null and nothing else."""

    def parse_at(self, value: Any, path: Path, issues: Issues) -> Any:
        if value is not None:
            wrong_type("null", value, path, issues)
        return value


class Undefined(Schema):
    """A key that must be left out; null may stand for it where the shape is made `nullish`."""

    optional_key = True

    def parse_at(self, value: Any, path: Path, issues: Issues) -> Any:
        if value is not MISSING:
            wrong_type("undefined", value, path, issues)
        return value
