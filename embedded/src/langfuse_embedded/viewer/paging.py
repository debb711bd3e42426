"""Lists that are counted: which page, and the addresses of its neighbours."""

from __future__ import annotations

from dataclasses import dataclass

from .urls import project_url
from .visit import Visit

PAGE_SIZE = 50
_MOST = 100_000


@dataclass(frozen=True, slots=True)
class NumberedPage:
    """A page of a list, from 1."""

    number: int

    @classmethod
    def of(cls, visit: Visit) -> NumberedPage:
        """Return the page that a visit asks for."""
        return cls(visit.number("page", 1, _MOST))

    @property
    def offset(self) -> int:
        """How many rows come before it."""
        return (self.number - 1) * PAGE_SIZE

    def values(self, visit: Visit, total: int, *segments: str, **query: str) -> dict[str, object]:
        """Return what the template `paging.html` shows below a list of `total` rows."""

        def url(number: int) -> str:
            return project_url(visit.project_id, *segments, **query, page=number if number > 1 else None)

        return {
            "total": total,
            "first_row": self.offset + 1,
            "last_row": min(self.offset + PAGE_SIZE, total),
            "previous_url": url(self.number - 1) if self.number > 1 else None,
            "next_url": url(self.number + 1) if self.offset + PAGE_SIZE < total else None,
        }
