"""Page style pagination: `page` and `limit` in the query, `meta` in the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .queries import page_limit, page_number
from .schema import Schema

PAGE_PARAMETERS: Mapping[str, Schema] = {"page": page_number(), "limit": page_limit()}
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
