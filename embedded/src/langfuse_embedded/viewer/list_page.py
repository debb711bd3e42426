"""A page of a list: rows in order, facets with counts, chips, and the addresses that change any of them."""

from __future__ import annotations

import csv
import io
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from langfuse_embedded.clock import iso

from .filters import FILTERS, RANGES, Filters
from .noise import NOISE
from .paging import PAGE_SIZE
from .tables import Facets, FacetValue, Order, Query, Table
from .text_search import MOST_CANDIDATES, SEARCH_SECONDS, with_text
from .urls import Parameter, project_url
from .visit import Visit

MOST_CSV_ROWS = 10_000
_MOST_PAGES = 2000
# How a formula begins in a spreadsheet, also in full width and behind blanks and apostrophes.
_FORMULA = re.compile(r"'*\s*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]")


@dataclass(frozen=True, slots=True)
class Facet:
    """The values of a filter with their counts, and the address of the list with each of them toggled."""

    name: str
    label: str
    values: Sequence[tuple[FacetValue, bool, str]]


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a column: its label, the address that sorts by it, and how it is sorted (ARIA)."""

    label: str
    url: str
    sorted: str


@dataclass(frozen=True, slots=True)
class Slice:
    """The rows of a page (of observations their numbers), whether more follow, and how many are known."""

    rows: Sequence[Any]
    has_next: bool
    total: int | None


class ListPage:
    """One visit of a list."""

    def __init__(self, visit: Visit, table: Table) -> None:
        self._visit, self._table = visit, table
        self.filters = Filters.of(visit)
        self.order = Order.of(visit.text("sort"), table.sorts)
        self.number = visit.number("page", 1, _MOST_PAGES)
        self.is_csv = visit.text("format") == "csv"
        events = visit.engine.events
        self.project, self.horizon = visit.project_key, events.horizon()

    def url(self, query: Mapping[str, Parameter] | None = None, **more: Parameter) -> str:
        """Return the address of the list with these filters (default: the present ones)."""
        given = {**(self.filters.query() if query is None else query), "sort": self.order.text, **more}
        return project_url(self._visit.project_id, self._table.name, **given)

    def query(self) -> Query:
        """Return what reads the rows; use it in a thread."""

        def run(sql: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
            return self._visit.engine.metrics.rows(sql, values, horizon=self.horizon)

        def count(sql: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
            return self._visit.engine.counts.rows(sql, values, horizon=self.horizon)

        return Query(self._table, self.filters, self.project, run, count)

    def slice(self, query: Query) -> Slice:
        """Return the rows of the page, in a thread.

        Raises:
            SearchTooSlow: the text was not found in time.
        """
        limit, offset = (MOST_CSV_ROWS, 0) if self.is_csv else (PAGE_SIZE, (self.number - 1) * PAGE_SIZE)
        text = self.filters.texts["text"]
        if not text:
            keys = query.keys(self.order, limit + 1, offset)
            total = None if self.is_csv else query.total()
            return Slice(self._rows(query, keys[:limit]), len(keys) > limit, total)
        found = self._with_text(query, text, offset + limit + 1)
        rows = self._rows(query, found[offset : offset + limit])
        total = len(found) if len(found) <= offset + limit else None
        return Slice(rows, len(found) > offset + limit, total)

    def _with_text(self, query: Query, text: str, wanted: int) -> list[Any]:
        found: list[Any] = []
        end = time.monotonic() + SEARCH_SECONDS
        for part in query.parts(self.order, MOST_CANDIDATES):
            with self._visit.engine.events.observations_in_thread() as reader:
                left = end - time.monotonic()
                found += with_text(reader.connection, self.project, part, text, wanted - len(found), left)
            if len(found) >= wanted:
                break
        return found

    def _rows(self, query: Query, keys: Sequence[Any]) -> Sequence[Any]:
        """Return the rows of ids; observations are read by their numbers."""
        return query.sums(keys) if self._table.key else keys

    def facets(self, counts: Facets) -> list[Facet]:
        """Return the facets that have a value."""
        found = []
        for name, some in counts.items():
            chosen = self.filters.chosen.get(name, ())
            values = [
                (one, one.value in chosen, self.url(self.filters.toggled(name, one.value))) for one in some
            ]
            if len(values) > 1 or chosen or name in ("type", "environment", "score"):
                found.append(Facet(name, FILTERS[name].label, values))
        return [one for one in found if one.values]

    def values(self, part: Slice, query: Query) -> dict[str, Any]:
        """Return what the template `lists.html` shows around the rows, in a thread."""
        filters, number = self.filters, self.number
        shown = filters.query()
        hidden = query.environments()
        counts, since = query.facets()
        noise = [
            (kind, count, self.url({**shown, "with": [*filters.shown_noise, kind]}))
            for kind, names in NOISE.items()
            if (count := sum(hidden.get(name, 0) for name in names))
        ]
        first = (number - 1) * PAGE_SIZE
        page = {
            "filters": filters,
            "texts": filters.texts,
            "ranges": RANGES,
            "kept": [
                (name, value)
                for name, values in shown.items()
                if name not in filters.texts
                for value in values
            ],
            "sort": self.order.text,
            "chips": [(label, value, self.url(query)) for label, value, query in filters.chips()],
            "noise": noise,
            "shown_noise": [
                (kind, self.url({**shown, "with": [one for one in filters.shown_noise if one != kind]}))
                for kind in filters.shown_noise
            ],
            "facets": self.facets(counts),
            "counted_since": since,
            "counted_url": None if since is None else self._counted_url(since),
            "clear_url": project_url(self._visit.project_id, self._table.name),
            "csv_url": self.url(format="csv"),
            "paging": {
                "total": part.total,
                "first_row": first + 1 if part.rows else 0,
                "last_row": first + len(part.rows),
                "previous_url": self.url(page=number - 1 if number > 2 else None) if number > 1 else None,
                "next_url": self.url(page=number + 1) if part.has_next else None,
            },
            "heads": {column: self._head(column) for column in self._table.sorts},
        }
        return {"section": self._table.name, "page": page}

    def _counted_url(self, since: int) -> str:
        """Return the address of the list of what began since then."""
        before = self.filters.before
        # As the fields of the form have them: in UTC, and without saying so.
        bounds = {
            "from": iso(since).removesuffix("Z"),
            "to": None if before is None else iso(before).removesuffix("Z"),
        }
        return self.url({**self.filters.query(), "range": []}, **bounds)

    def _head(self, column: str) -> Head:
        flipped = self.order.flipped(column)
        now = "none" if column != self.order.column else "ascending" if self.order.ascending else "descending"
        return Head(column, self.url(sort=flipped.text), now)

    def csv(self, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Response:
        """Return rows as a file. What a spreadsheet takes for a formula begins with an apostrophe there."""
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(columns)
        writer.writerows([[_cell(value) for value in row] for row in rows])
        headers = {"content-disposition": f'attachment; filename="{self._table.name}.csv"'}
        body = text.getvalue().encode("utf-8", "replace")
        return Response(body, media_type="text/csv; charset=utf-8", headers=headers)


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    is_formula = isinstance(value, str) and _FORMULA.match(value) is not None
    return f"'{value}" if is_formula else value
