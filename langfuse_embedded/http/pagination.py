"""Page style pagination: `page` and `limit` in the query, `meta` in the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .schema import MISSING, Issues, Number, Path, Schema


class EmptyIsAbsent(Schema):
    """A query parameter whose empty text counts as left out (`?page=`)."""

    optional_key = True

    def __init__(self, inner: Schema) -> None:
        self.inner = inner

    def run(self, value: Any, path: Path, issues: Issues) -> Any:
        return self.inner.run(MISSING if value == "" else value, path, issues)


PAGE_PARAMETERS: Mapping[str, Schema] = {
    "page": EmptyIsAbsent(Number(integer=True, gt=0, coerce=True).default(1)),
    "limit": EmptyIsAbsent(Number(integer=True, ge=1, le=100, coerce=True).default(50)),
}
"""The two parameters of nearly every list, to be merged into a route's query shape."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list, counted from 1."""

    number: int
    limit: int

    @classmethod
    def of(cls, query: Mapping[str, Any]) -> Page:
        """Return the page that a parsed query asks for."""
        return cls(query["page"], query["limit"])

    @property
    def offset(self) -> int:
        """How many rows come before this page."""
        return (self.number - 1) * self.limit

    def meta(self, total: int) -> dict[str, int]:
        """Return the `meta` object for a list of `total` rows."""
        return {
            "page": self.number,
            "limit": self.limit,
            "totalItems": total,
            "totalPages": -(-total // self.limit),
        }
