"""The traces of a session in order, a page at a time, by an index.

A trace is listed where its first observation stands, so each has one place, also one whose root never came.
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
_STEPS_BETWEEN_CHECKS = 10_000


class SearchTooSlow(Exception):
    """The search was given up at its deadline. The text is for whoever searches."""

    def __init__(self) -> None:
        super().__init__(
            "The search was given up after some seconds. Choose a shorter range of time, or another filter"
            " beside the text."
        )


class TracePlace(NamedTuple):
    """Where a list goes on: behind this trace. The time is in Unix milliseconds."""

    start_time: int
    trace_id: str


@dataclass(frozen=True, slots=True)
class OverviewQuery:
    """A page of the traces of a session.

    Attributes:
        project: the project's key in the rows.
        session_id: what an observation of the trace names.
        limit: how many traces at most.
        after: the last trace of the page before.
        horizon: rows beyond this number of the sequence are not visible yet.
    """

    project: int
    session_id: str
    limit: int
    after: TracePlace | None = None
    horizon: int | None = None

    @property
    def upto(self) -> int:
        """The last visible number of the sequence."""
        return 2**63 - 1 if self.horizon is None else self.horizon


@dataclass(frozen=True, slots=True)
class TraceOverview:
    """A trace in a list, and how many observations, errors and warnings it has.

    `row` has the columns of the view (`store.traces`), `body` its input and output, put together from all its
    observations.
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
        """Where it is in a list."""
        return TracePlace(self.row["timestamp"], self.id)


def find_overview(
    connection: sqlite3.Connection, query: OverviewQuery, seconds: float
) -> list[TraceOverview]:
    """Return a page of traces, the oldest first.

    The connection has the functions that `ObservationReader` registers.

    Raises:
        SearchTooSlow: it took longer than `seconds`.
    """
    where = _where(query)
    with deadline(connection, seconds):
        rows = connection.execute(
            f"select o.trace_id, o.name from observations o where {where.sql}"
            " order by o.start_time, o.trace_id limit ?",
            (*where.values, query.limit),
        ).fetchall()
    found = []
    blocks = BlockReader(connection)
    for first in rows:
        row = find_trace_row(connection, query.project, unpack(first["trace_id"]), query.horizon)
        if row is not None:  # else deleted in between
            body = trace_body(connection, blocks, query.project, row["id"], query.horizon, parts_count=True)
            counts = _counts(connection, query, row["id"])
            found.append(TraceOverview(row, row["name"] or first["name"], body, *counts))
    return found


def turns_before(connection: sqlite3.Connection, query: OverviewQuery) -> int:
    """Return how many traces of the session come before the page."""
    if query.after is None:
        return 0
    row = connection.execute(
        "select count(*) from (select min(o.start_time) as began, o.trace_id from observations o"
        " where o.project = ? and o.seq <= ? and o.trace_id in (select s.trace_id from observations s"
        " where s.project = ? and s.session_id = ? and s.session_id <> '') group by o.trace_id"
        " having (began, o.trace_id) <= (?, ?))",
        (
            query.project,
            query.upto,
            query.project,
            query.session_id,
            query.after.start_time,
            pack(query.after.trace_id),
        ),
    ).fetchone()
    number: int = row[0]
    return number


@dataclass(frozen=True, slots=True)
class FirstError:
    """The first observation of a trace with the level `ERROR`."""

    id: str
    name: str
    message: str


def first_error(connection: sqlite3.Connection, project: int, trace_id: str, upto: int) -> FirstError | None:
    """Return the first error of a trace, or ``None``; rows beyond `upto` are not visible yet."""
    row = connection.execute(
        "select span_id, name, status_message from observations"
        " where project = ? and trace_id = ? and seq <= ? and level = 'ERROR'"
        " order by start_time, seq limit 1",
        (project, pack(trace_id), upto),
    ).fetchone()
    return FirstError(unpack(row["span_id"]), row["name"], row["status_message"]) if row else None


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
    if query.after is not None:
        # The first term alone leads through the index.
        where.add("o.start_time >= ?", query.after.start_time)
        where.add("(o.start_time, o.trace_id) > (?, ?)", query.after.start_time, pack(query.after.trace_id))
    where.add(
        "o.trace_id in (select s.trace_id from observations s"
        " where s.project = ? and s.session_id = ? and s.session_id <> '')",
        query.project,
        query.session_id,
    )
    where.add(_FIRST, query.upto)
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
def deadline(connection: sqlite3.Connection, seconds: float) -> Iterator[None]:
    """Interrupt what SQLite does in the block after so many seconds. Raises SearchTooSlow."""
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
