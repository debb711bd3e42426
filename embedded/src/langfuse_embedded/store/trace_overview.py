"""The list of traces that people browse: newest first, a page at a time, by an index.

A trace is listed where its first observation stands, so each has one place, also one whose root never came.
What a filter asks for may be said by any observation of the trace.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from .bodies import BlockReader, Body
from .hexid import pack, unpack
from .observation_filters import Where
from .trace_bodies import trace_body
from .traces import find_trace_row

_SAME_TRACE = "select 1 from observations e where e.project = o.project and e.trace_id = o.trace_id"
_FIRST = f"not exists ({_SAME_TRACE} and e.seq <= ? and (e.start_time, e.seq) < (o.start_time, o.seq))"
_CONTAINS = "instr(lower({}), lower(?)) > 0"
_TEXT_PARTS = (
    "e.name",
    "body_text(e.block, b.body, e.position, 'input')",
    "body_text(e.block, b.body, e.position, 'output')",
)
_STEPS_BETWEEN_CHECKS = 10_000


class SearchTooSlow(Exception):
    """The search was given up at its deadline."""


class TracePlace(NamedTuple):
    """Where a list goes on: behind this trace. The time is in Unix milliseconds."""

    start_time: int
    trace_id: str


@dataclass(frozen=True, slots=True)
class OverviewQuery:
    """A page of traces. Empty texts and ``None`` ask for nothing.

    Attributes:
        project: the project's key in the rows.
        limit: how many traces at most.
        after: the last trace of the page before.
        oldest_first: the other way round, for a session that is read from its beginning.
        horizon: rows beyond this number of the sequence are not visible yet.
        name: part of the trace's name, in any case.
        user_id, session_id, environment, tag, level: what an observation of the trace has.
        text: part of a name, an input or an output, in any case.
        whole: put input and output together from all observations of a trace, instead of the root's.
        since, before: bounds of the start, Unix milliseconds; the second one is exclusive.
    """

    project: int
    limit: int
    after: TracePlace | None = None
    oldest_first: bool = False
    whole: bool = False
    horizon: int | None = None
    name: str = ""
    user_id: str = ""
    session_id: str = ""
    environment: str = ""
    tag: str = ""
    level: str = ""
    text: str = ""
    since: int | None = None
    before: int | None = None

    @property
    def upto(self) -> int:
        """The last visible number of the sequence."""
        return 2**63 - 1 if self.horizon is None else self.horizon


@dataclass(frozen=True, slots=True)
class TraceOverview:
    """A trace in a list, and how many observations, errors and warnings it has.

    `row` has the columns of the view (`store.traces`), `body` its input and output (`OverviewQuery.whole`).
    """

    row: sqlite3.Row
    name: str
    body: Body | None
    observations: int
    errors: int
    warnings: int

    @property
    def id(self) -> str:
        """The id of the trace."""
        return unpack(self.row["id"])

    @property
    def place(self) -> TracePlace:
        """Where it stands in a list."""
        return TracePlace(self.row["timestamp"], self.id)


def find_overview(
    connection: sqlite3.Connection, query: OverviewQuery, seconds: float
) -> list[TraceOverview]:
    """Return a page of traces. The connection has the functions that `ObservationReader` registers.

    Raises:
        SearchTooSlow: it took longer than `seconds`.
    """
    where = _where(query)
    direction = "asc" if query.oldest_first else "desc"
    with _deadline(connection, seconds):
        rows = connection.execute(
            f"select o.trace_id, o.name from observations o where {where.sql}"
            f" order by o.start_time {direction}, o.trace_id {direction} limit ?",
            (*where.values, query.limit),
        ).fetchall()
    found = []
    blocks = BlockReader(connection)
    for first in rows:
        row = find_trace_row(connection, query.project, unpack(first["trace_id"]), query.horizon)
        if row is not None:  # else deleted in between
            body = _body(connection, blocks, query, row)
            counts = _counts(connection, query, row["id"])
            found.append(TraceOverview(row, row["name"] or first["name"], body, *counts))
    return found


def _body(
    connection: sqlite3.Connection, blocks: BlockReader, query: OverviewQuery, row: sqlite3.Row
) -> Body | None:
    if query.whole:
        return trace_body(connection, blocks, query.project, row["id"], query.horizon, parts_count=True)
    root = connection.execute(
        "select block, position from observations where seq = ?", (row["root"],)
    ).fetchone()
    try:
        return blocks.body(root["block"], root["position"]) if root else None
    except LookupError:
        return None  # deleted in between


def _counts(connection: sqlite3.Connection, query: OverviewQuery, trace_id: Any) -> tuple[int, int, int]:
    row = connection.execute(
        "select count(*), coalesce(sum(level = 'ERROR'), 0), coalesce(sum(level = 'WARNING'), 0)"
        " from observations where project = ? and trace_id = ? and seq <= ?",
        (query.project, trace_id, query.upto),
    ).fetchone()
    return row[0], row[1], row[2]


def _where(query: OverviewQuery) -> Where:
    where = Where()
    where.add("o.project = ? and o.seq <= ?", query.project, query.upto)
    if query.since is not None:
        where.add("o.start_time >= ?", query.since)
    if query.before is not None:
        where.add("o.start_time < ?", query.before)
    if query.after is not None:
        sign = ">" if query.oldest_first else "<"
        # The first term alone leads through the index.
        where.add(f"o.start_time {sign}= ?", query.after.start_time)
        where.add(
            f"(o.start_time, o.trace_id) {sign} (?, ?)", query.after.start_time, pack(query.after.trace_id)
        )
    if query.session_id:
        where.add(
            "o.trace_id in (select s.trace_id from observations s"
            " where s.project = ? and s.session_id = ? and s.session_id <> '')",
            query.project,
            query.session_id,
        )
    where.add(_FIRST, query.upto)
    for term, value in (
        ("e.user_id = ?", query.user_id),
        ("e.environment = ?", query.environment),
        ("e.level = ?", query.level),
        ("exists (select 1 from json_each(e.tags) t where t.value = ?)", query.tag),
    ):
        if value:
            where.add(f"exists ({_SAME_TRACE} and {term})", value)
    if query.name:
        named = " or ".join(_CONTAINS.format(f"e.{column}") for column in ("trace_name", "name"))
        where.add(
            f"exists ({_SAME_TRACE} and (e.trace_name <> '' or e.parent_span_id is null) and ({named}))",
            *[query.name] * 2,
        )
    if query.text:
        found = " or ".join(_CONTAINS.format(part) for part in _TEXT_PARTS)
        joined = _SAME_TRACE.replace(" where", " join blocks b on b.id = e.block where")
        where.add(f"exists ({joined} and ({found}))", *[query.text] * len(_TEXT_PARTS))
    return where


@dataclass(frozen=True, slots=True)
class SessionFigures:
    """What the observations of a session say together. Times are Unix milliseconds, the cost is in USD."""

    traces: int
    start_time: int
    end_time: int
    total_cost: float
    total_tokens: int
    user_ids: Sequence[str]


def session_figures(
    connection: sqlite3.Connection, project: int, session_id: str, horizon: int | None = None
) -> SessionFigures | None:
    """Return the figures of a session, or ``None`` when no observation belongs to it."""
    values: tuple[Any, ...] = (project, session_id, 2**63 - 1 if horizon is None else horizon)
    source = "from observations where project = ? and session_id = ? and session_id <> '' and seq <= ?"
    row = connection.execute(
        "select count(distinct trace_id), min(start_time), max(coalesce(end_time, start_time)),"
        f" coalesce(sum(total_cost), 0), cast(total(total_tokens) as integer) {source}",
        values,
    ).fetchone()
    if not row[0]:
        return None
    users = connection.execute(
        f"select distinct user_id {source} and user_id <> '' order by user_id limit 5", values
    ).fetchall()
    return SessionFigures(row[0], row[1], row[2], row[3], row[4], [user[0] for user in users])


@contextmanager
def _deadline(connection: sqlite3.Connection, seconds: float) -> Iterator[None]:
    end = time.monotonic() + seconds
    connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS_BETWEEN_CHECKS)
    try:
        yield
    except sqlite3.OperationalError as error:
        if "interrupted" not in str(error):
            raise
        raise SearchTooSlow from error
    finally:
        connection.set_progress_handler(None, 0)
