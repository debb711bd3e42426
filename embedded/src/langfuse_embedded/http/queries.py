"""How query parameters are read: one place, with the rules of each family of routes.

The server reads parameters with a handful of habits, and a client meets them where it sends one empty, twice,
or as a list. A parameter that is sent twice arrives as a list. Which habit a route has:

| reader | empty | twice | `a,b` | where |
|---|---|---|---|---|
| `text` | compared | refused | one value | texts of v2/observations and of legacy lists |
| `texts` | absent | refused | two values, no blanks | lists of v3/scores and of experiments |
| `known_texts` | absent | two values | two values, no blanks | `fields` |
| `upper_texts` | absent | refused | two values, upper case | `source`, `dataType` of v3/scores |
| `options` | one empty value | two values | two values | tags and environments |
| `page_number`, `page_limit`, `number`, `moment` | absent | refused | refused | all routes |
| `conditions` | absent | refused | JSON | `filter` |
| `ordering` | absent | refused | `column.direction` | `orderBy` of traces |

Numbers are those of JavaScript's `Number`: `0x10` is 16, ` 5 ` is 5, and `1e2` is 100.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from langfuse_embedded.javascript.values import InvalidJson, loads

from .errors import InvalidRequest
from .schema import (
    MISSING,
    Array,
    CoercedDate,
    Enum,
    Issues,
    Number,
    Object,
    Path,
    Schema,
    String,
    Union,
)


class EmptyIsAbsent(Schema):
    """A query parameter whose empty text counts as left out (`?page=`)."""

    optional_key = True

    def __init__(self, inner: Schema) -> None:
        self.inner = inner

    def parse_at(self, value: Any, path: Path, issues: Issues) -> Any:
        return self.inner.parse_at(MISSING if value == "" else value, path, issues)


def text() -> Schema:
    """Return the reader of one text; an empty one is a value like any other."""
    return String().optional()


def texts() -> Schema:
    """Return the reader of a list of texts, which is absent where nothing is in it."""
    return _Split().optional()


def known_texts(*values: str, default: Sequence[str] | None, unknown_is_refused: bool = True) -> Schema:
    """Return the reader of a list of `values`; empty means `default`.

    Others are refused, or passed over, which may leave an empty list.
    """
    return _Known(values, default, unknown_is_refused)


def upper_texts(name: str, values: Sequence[str]) -> Schema:
    """Return the reader of a list of `values` in any case; `name` is what a refusal calls one of them."""
    return _Upper(name, values).optional()


def options() -> Schema:
    """Return the reader of a list of texts that a list is filtered by: commas part, blanks are kept."""
    return Union(Array(String()), String().transform(lambda value: value.split(","))).optional()


def ordering() -> Schema:
    """Return the reader of a column and a direction, such as `timestamp.asc`: `column` and `order`."""
    return _Ordering().optional()


def number() -> Schema:
    """Return the reader of any number."""
    return EmptyIsAbsent(Number(coerce=True).optional())


def moment() -> Schema:
    """Return the reader of a time in any form that JavaScript reads, in Unix milliseconds."""
    return EmptyIsAbsent(CoercedDate().optional())


def page_number() -> Schema:
    """Return the reader of the number of a page, from 1."""
    return EmptyIsAbsent(Number(integer=True, gt=0, coerce=True).default(1))


def page_limit(most: int = 100) -> Schema:
    """Return the reader of how many rows a page has, 50 unless it says."""
    return EmptyIsAbsent(Number(integer=True, ge=1, le=most, coerce=True).default(50))


def positive_page_limit() -> Schema:
    """Return the same for the routes below `/unstable`, whose refusals say `>0` where others say `>=1`."""
    return EmptyIsAbsent(Number(integer=True, gt=0, le=100, coerce=True).default(50))


def conditions(shape: Schema) -> Schema:
    """Return the reader of a JSON filter of one shape."""
    return JsonText(shape, "filter", empty_is_absent=True).optional()


class JsonText(Schema):
    """Text that is JSON of one shape, such as `?filter=[…]`; `name` is what the error message calls it."""

    def __init__(self, inner: Schema, name: str, *, empty_is_absent: bool = False) -> None:
        self.inner, self.name, self.empty_is_absent = inner, name, empty_is_absent

    def parse_at(self, value: Any, path: Path, issues: Issues) -> Any:
        if not _is_text(value, path, issues):
            return value
        if not value and self.empty_is_absent:
            return MISSING
        try:
            document = loads(value)
        except InvalidJson:
            raise InvalidRequest(f"Invalid JSON in {self.name} parameter") from None
        return self.inner.parse_at(document, path, issues)


class Cursor(Schema):
    """Where the next page begins: a text that `decode` turns into a document of one shape."""

    def __init__(self, inner: Schema, decode: Callable[[str], Any]) -> None:
        self.inner, self.decode = inner, decode

    def parse_at(self, value: Any, path: Path, issues: Issues) -> Any:
        if not _is_text(value, path, issues):
            return value
        return self.inner.parse_at(self.decode(value), path, issues)


def _is_text(value: Any, path: Path, issues: Issues) -> bool:
    """Return whether a value is a text; where it is not, nothing more is said of it."""
    local = Issues()
    String().parse_at(value, path, local)
    issues.found.extend(local.found)
    issues.aborted = issues.aborted or bool(local.found)
    return not local.found


def _parts(value: str) -> list[str]:
    return [part for part in map(str.strip, value.split(",")) if part]


class _Split(Schema):
    def parse_at(self, value: Any, path: Path, issues: Issues) -> Any:
        if not _is_text(value, path, issues):
            return value
        return _parts(value) or MISSING


class _Ordering(Schema):
    parsed = Object({"column": String(), "order": Enum("ASC", "DESC")})

    def parse_at(self, value: Any, path: Path, issues: Issues) -> Any:
        if not _is_text(value, path, issues):
            return value
        if not value:
            return MISSING
        column, *more = value.split(".")
        order = {"order": more[0].upper()} if more else {}
        return self.parsed.parse_at({"column": column, **order}, path, issues)


class _Known(Schema):
    optional_key = True

    def __init__(
        self, values: Sequence[str], default: Sequence[str] | None, unknown_is_refused: bool
    ) -> None:
        self.values, self.otherwise, self.unknown_is_refused = values, default, unknown_is_refused
        self.items = Array(Enum(*values))

    def parse_at(self, value: Any, path: Path, issues: Issues) -> Any:
        if value is MISSING or value == "":
            return MISSING if self.otherwise is None else list(self.otherwise)
        if isinstance(value, str):
            value = _parts(value)
            if not self.unknown_is_refused:
                return [part for part in value if part in self.values]
        return self.items.parse_at(value, path, issues)


class _Upper(_Split):
    def __init__(self, name: str, values: Sequence[str]) -> None:
        self.name, self.values = name, values

    def parse_at(self, value: Any, path: Path, issues: Issues) -> Any:
        parts = super().parse_at(value, path, issues)
        # A parameter that was sent twice is a list, too, and refused by now.
        if parts is value or not isinstance(parts, list):
            return parts
        upper = [part.upper() for part in parts]
        for part in upper:
            if part not in self.values:
                allowed = ", ".join(self.values)
                # Quoted as it is, as in the server's texts.
                issues.add(path, f'Invalid {self.name} value: "{part}". Allowed: {allowed}', code="custom")
        return upper
