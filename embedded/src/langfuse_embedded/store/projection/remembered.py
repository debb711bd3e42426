"""Remembers what counting statements found, until anything is stored or deleted."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from .projection import MetricsProjection

if TYPE_CHECKING:
    from langfuse_embedded.store.events import EventsReader

_MOST_STATEMENTS = 256
_MOST_ROWS = 1000
Rows = list[tuple[Any, ...]]


class RememberedRows:
    """Answers statements as the projection does, from memory where nothing was committed since. Thread-safe.

    Every commit of observations, scores and deletions takes numbers of the sequence of `events.db`: where the
    last visible number is the same, so is the answer. For statements with few rows, such as counts of values:
    the next page and another order of a list ask for the same ones.
    """

    def __init__(self, projection: MetricsProjection, events: EventsReader) -> None:
        self._projection, self._events = projection, events
        self._lock = threading.Lock()
        self._upto = -1
        self._found: OrderedDict[str, Rows] = OrderedDict()

    def rows(self, sql: str, values: dict[str, Any], horizon: int | None = None) -> Rows:
        """Return the rows of a statement, which nobody may change.

        Raises:
            duckdb.Error: the statement is wrong.
            ProjectionClosed: the engine stops.
        """
        upto, key = self._visible(horizon), f"{sql}\n{sorted(values.items())!r}"
        with self._lock:
            if upto == self._upto and key in self._found:
                self._found.move_to_end(key)
                return self._found[key]
        found = self._projection.rows(sql, values, horizon=horizon)
        # What was stored meanwhile may be counted, or not.
        if len(found) <= _MOST_ROWS and self._visible(horizon) == upto:
            with self._lock:
                self._keep(upto, key, found)
        return found

    def _keep(self, upto: int, key: str, found: Rows) -> None:
        if upto != self._upto:
            self._upto = upto
            self._found.clear()
        self._found[key] = found
        if len(self._found) > _MOST_STATEMENTS:
            self._found.popitem(last=False)

    def _visible(self, horizon: int | None) -> int:
        with self._events.connection() as connection:
            last: int = connection.execute("select last from sequence").fetchone()[0]
        return last if horizon is None else min(last, horizon)
