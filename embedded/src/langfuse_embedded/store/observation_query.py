"""Read observations: one trace, or pages of a filtered list, newest first."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from .bodies import BlockReader, Body, TooLarge
from .hexid import pack, unpack
from .observation_columns import COLUMNS as FILTER_COLUMNS
from .observation_columns import LEGACY_COLUMNS
from .observation_filters import Condition, Where, compile_conditions, has_words
from .observation_rows import COLUMNS, TRACE_ROOT

_SELECT = ", ".join(f"o.{name}" for name in COLUMNS)
_NEWEST_FIRST = "order by o.start_time desc, o.trace_id desc, o.span_id desc"


class Place(NamedTuple):
    """The last observation of a page: the next page begins after it."""

    start_time: int
    trace_id: str
    span_id: str


@dataclass(slots=True)
class StoredObservation:
    """An observation as stored: `row` by `observation_rows.COLUMNS`, and its long texts if they were read."""

    row: sqlite3.Row
    body: Body | None = None

    @property
    def id(self) -> str:
        """The span id."""
        return unpack(self.row["span_id"])

    @property
    def trace_id(self) -> str:
        """The id of the trace."""
        return unpack(self.row["trace_id"])

    @property
    def parent_id(self) -> str | None:
        """The id of the parent span, or ``None`` for a root."""
        parent = self.row["parent_span_id"]
        return None if parent is None else unpack(parent)

    @property
    def stands_for_trace(self) -> bool:
        """Whether it holds what the legacy batch said of a trace: the legacy API does not show it."""
        return self.id == f"{TRACE_ROOT}{self.trace_id}"

    @property
    def legacy_parent_id(self) -> str | None:
        """The parent as the legacy API knows it: what hangs below a trace has none."""
        parent = self.parent_id
        return None if parent == f"{TRACE_ROOT}{self.trace_id}" else parent

    @property
    def is_root(self) -> bool:
        """Whether it is the root of a trace, or of an application's part of one."""
        return self.row["parent_span_id"] is None or bool(self.row["is_app_root"])

    @property
    def place(self) -> Place:
        """Where it is in a list."""
        return Place(self.row["start_time"], self.trace_id, self.id)


@dataclass(slots=True)
class ObservationQuery:
    """What to read of a project.

    Attributes:
        project: the project's key in the rows.
        conditions: all must hold.
        limit: how many observations at most.
        after: the last observation of the page before.
        horizon: rows beyond this number of the sequence are not visible yet.
        with_bodies: read the long texts too.
        offset: how many observations to pass over.
        with_trace_roots: also those that stand for a trace of the legacy batch.
        trace_user: only those of traces of which an observation names this user.
    """

    project: int
    conditions: Sequence[Condition]
    limit: int
    after: Place | None = None
    horizon: int | None = None
    with_bodies: bool = False
    offset: int = 0
    with_trace_roots: bool = True
    trace_user: str | None = None

    @property
    def is_cheap(self) -> bool:
        """Whether an index leads to the rows, and they are few: such a query may run on the event loop."""
        columns = {one.column for one in self.conditions}
        by_trace = any(one.column == "traceId" and one.operator == "=" for one in self.conditions)
        searches = any(
            column.sql.startswith("body_")
            for one in self.conditions
            if (column := FILTER_COLUMNS.get(one.column))
        )
        return self.limit <= 101 and not searches and (by_trace or columns <= {"startTime"})


class ObservationReader:
    """Reads observations over one connection, in one thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._blocks = BlockReader(connection)
        self._blocks.register()
        connection.create_function("has_words", 3, has_words, deterministic=True)

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection that it reads over."""
        return self._db

    def find(self, query: ObservationQuery, most_bytes: int | None = None) -> list[StoredObservation]:
        """Return observations, newest first.

        Raises:
            FilterError: the conditions cannot be served.
            TooLarge: their long texts, or what these are found in, have more than `most_bytes`.
        """
        source, where = self._matching(query)
        sql = f"select {_SELECT} {source} {_NEWEST_FIRST} limit ? offset ?"
        rows = self._db.execute(sql, (*where.values, query.limit, query.offset)).fetchall()
        return (
            self._with_bodies(rows, most_bytes)
            if query.with_bodies
            else [StoredObservation(row) for row in rows]
        )

    def count(self, query: ObservationQuery) -> int:
        """Return how many observations there are on all pages of a query.

        Raises:
            FilterError: the conditions cannot be served.
        """
        source, where = self._matching(query)
        found: int = self._db.execute(f"select count(*) {source}", where.values).fetchone()[0]
        return found

    def _matching(self, query: ObservationQuery) -> tuple[str, Where]:
        where = Where()
        where.add("o.project = ?", query.project)
        if not query.with_trace_roots:
            # Such an id is never hexadecimal, so it is stored as text.
            where.add("(typeof(o.span_id) <> 'text' or substr(o.span_id, 1, 2) <> ?)", TRACE_ROOT)
        if query.trace_user is not None:
            where.add(
                "o.trace_id in (select u.trace_id from observations u where u.project = ? and u.user_id = ?)",
                query.project,
                query.trace_user,
            )
        if query.horizon is not None:
            where.add("o.seq <= ?", query.horizon)
        if query.after is not None:
            start_time, trace_id, span_id = query.after
            where.add("o.start_time <= ?", start_time)
            where.add(
                "(o.start_time, o.trace_id, o.span_id) < (?, ?, ?)", start_time, pack(trace_id), pack(span_id)
            )
        if any(one.column == "sessionId" and one.operator == "=" and one.value for one in query.conditions):
            # Lets SQLite use the index, which leaves out rows without a session.
            where.add("o.session_id <> ''")
        columns = FILTER_COLUMNS if query.with_trace_roots else LEGACY_COLUMNS
        compile_conditions(list(query.conditions), where, columns)
        blocks = " join blocks b on b.id = o.block" if where.reads_bodies else ""
        return f"from observations o{blocks} where {where.sql}", where

    def trace(
        self, project: int, trace_id: str, *, with_bodies: bool = True, horizon: int | None = None
    ) -> list[StoredObservation]:
        """Return all observations of a trace, oldest first; none when there is no such trace."""
        rows = self._db.execute(
            f"select {_SELECT} from observations o where o.project = ? and o.trace_id = ? and o.seq <= ?"
            " order by o.start_time, o.seq",
            (project, pack(trace_id), horizon if horizon is not None else 2**63 - 1),
        ).fetchall()
        return self._with_bodies(rows) if with_bodies else [StoredObservation(row) for row in rows]

    def numbered(self, project: int, numbers: Sequence[int]) -> list[StoredObservation]:
        """Return the observations with these numbers, in their order, without those that are gone."""
        marks = ", ".join("?" * len(numbers))
        rows = self._db.execute(
            f"select {_SELECT} from observations o where o.project = ? and o.seq in ({marks})",
            (project, *numbers),
        ).fetchall()
        found = {one.row["seq"]: one for one in self._with_bodies(rows)}
        return [found[number] for number in numbers if number in found]

    def one(
        self, project: int, observation_id: str, *, trace_id: str | None = None, horizon: int | None = None
    ) -> StoredObservation | None:
        """Return one observation; without its trace it is looked for in the whole project."""
        where = Where()
        where.add("o.project = ? and o.span_id = ?", project, pack(observation_id))
        if trace_id is not None:
            where.add("o.trace_id = ?", pack(trace_id))
        if horizon is not None:
            where.add("o.seq <= ?", horizon)
        rows = self._db.execute(
            f"select {_SELECT} from observations o where {where.sql} {_NEWEST_FIRST} limit 1", where.values
        ).fetchall()
        found = self._with_bodies(rows)
        return found[0] if found else None

    def _with_bodies(self, rows: list[Any], most_bytes: int | None = None) -> list[StoredObservation]:
        found, left = [], most_bytes
        for row in rows:
            before = self._blocks.opened_bytes
            try:
                body = self._blocks.body(row["block"], row["position"], left)
            except LookupError:
                # Deleted between the two statements: then it is not there.
                continue
            if left is not None:
                opened = self._blocks.opened_bytes - before
                left -= opened + len(body.input or "") + len(body.output or "")
                if left < 0:
                    raise TooLarge
            found.append(StoredObservation(row, body))
        return found
