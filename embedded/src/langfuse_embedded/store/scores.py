"""Read scores: one by id, lists newest first with filters."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .hexid import pack
from .observation_columns import Column, Kind
from .observation_filters import Condition, Where, compile_conditions
from .score_rows import SELECT, StoredScore, score_of

_IDS = frozenset(("trace_id", "observation_id"))
_TRACES = "(select o.trace_id from observations o where o.project = scores.project and"


def _of_trace(column: str, empty: str = "''") -> str:
    last = (
        f"(select o.{column} from observations o where o.project = scores.project"
        f" and o.trace_id = scores.trace_id and o.{column} <> {empty} order by o.seq desc limit 1)"
    )
    return f"coalesce({last}, {empty})"


_COLUMNS = (
    Column("id", "ID", Kind.TEXT, "id"),
    Column("name", "Name", Kind.CHOICE, "name"),
    Column("timestamp", "Timestamp", Kind.DATETIME, "timestamp"),
    Column("environment", "Environment", Kind.CHOICE, "environment"),
    Column("source", "Source", Kind.CHOICE, "source"),
    Column("dataType", "Data Type", Kind.CHOICE, "data_type"),
    Column("value", "Value", Kind.NUMBER, "value"),
    Column(
        "booleanValue",
        "Boolean Value",
        Kind.CHOICE,
        "iif(data_type = 'BOOLEAN', lower(coalesce(string_value, '')), '')",
    ),
    Column("stringValue", "String Value", Kind.CHOICE, "string_value"),
    Column("comment", "Comment", Kind.TEXT, "coalesce(comment, '')"),
    Column("authorUserId", "Author User ID", Kind.TEXT, "coalesce(author_user_id, '')"),
    Column("traceId", "Trace ID", Kind.IDENTIFIER, "trace_id"),
    Column("observationId", "Observation ID", Kind.IDENTIFIER, "observation_id"),
    Column("sessionId", "Session ID", Kind.CHOICE, "session_id", "string"),
    Column("traceName", "Trace Name", Kind.CHOICE, _of_trace("trace_name")),
    Column("userId", "User ID", Kind.CHOICE, _of_trace("user_id")),
    Column("trace_tags", "Trace Tags", Kind.ARRAY, _of_trace("tags", "'[]'")),
    Column(
        "metadata",
        "Metadata",
        Kind.METADATA,
        "coalesce((select m.value from json_each(coalesce(metadata, '{}')) m where m.key = ?), '')",
    ),
)
FILTER_COLUMNS = {name: column for column in _COLUMNS for name in (column.name, column.title)}
"""What the filter of the legacy lists may name (`scoresTableUiColumnDefinitions` of the server)."""


class ScorePlace(NamedTuple):
    """Where a list goes on: behind this score."""

    timestamp: int
    id: str


@dataclass(slots=True)
class ScoreQuery:
    """Which scores to read. Every condition must hold.

    Attributes:
        project: key of the project in the rows.
        limit: how many rows at most.
        any_of: columns with the texts that they may hold.
        numbers: exact numbers of `value`, or ``None``.
        minimum, maximum: inclusive bounds of `value`.
        since, before: inclusive and exclusive bounds of the time, Unix milliseconds.
        after: the last score of the page before.
        offset: how many rows to pass over.
        horizon: number in the sequence up to which rows are visible, ``None`` for all.
        of_traces: only what old clients know as scores of traces and their observations: no corrections, and
            no scores of sessions or experiments.
        with_traces: leave out scores of traces that are not there.
        user_id, trace_tags: what the trace of the score must have, all tags of it.
        comparison: an SQL operator and the number that `value` is compared with.
        conditions: a JSON filter.
    """

    project: int
    limit: int
    any_of: dict[str, Sequence[str]] = field(default_factory=dict)
    numbers: Sequence[float] | None = None
    minimum: float | None = None
    maximum: float | None = None
    since: int | None = None
    before: int | None = None
    after: ScorePlace | None = None
    offset: int = 0
    horizon: int | None = None
    of_traces: bool = False
    with_traces: bool = False
    user_id: str | None = None
    trace_tags: Sequence[str] = ()
    comparison: tuple[str, float] | None = None
    conditions: Sequence[Condition] = ()

    @property
    def is_cheap(self) -> bool:
        """Whether an index leads to few rows, so that the event loop may wait for it."""
        return not self.any_of.keys().isdisjoint(("id", "trace_id", "session_id"))


def find_scores(connection: sqlite3.Connection, query: ScoreQuery) -> list[StoredScore]:
    """Return the scores, newest first, those of one moment by descending id.

    Raises:
        FilterError: the JSON filter cannot be served.
    """
    where = _where(query)
    rows = connection.execute(
        f"{SELECT} where {where.sql} order by timestamp desc, id desc limit ? offset ?",
        (*where.values, query.limit, query.offset),
    )
    return [score_of(row) for row in rows]


def count_scores(connection: sqlite3.Connection, query: ScoreQuery) -> int:
    """Return how many scores the conditions of a query find, whatever its page."""
    where = _where(query)
    row = connection.execute(f"select count(*) from scores where {where.sql}", where.values).fetchone()
    number: int = row[0]
    return number


def _where(query: ScoreQuery) -> Where:
    where = Where()
    where.add("project = ?", query.project)
    for column, texts in query.any_of.items():
        values = [pack(text) for text in texts] if column in _IDS else texts
        where.add(f"{column} in ({', '.join('?' * len(texts))})", *values)
    if query.numbers is not None:
        where.add(f"value in ({', '.join('?' * len(query.numbers))})", *query.numbers)
    for term, bound in (
        ("value >= ?", query.minimum),
        ("value <= ?", query.maximum),
        ("timestamp >= ?", query.since),
        ("timestamp < ?", query.before),
        ("seq <= ?", query.horizon),
        (f"trace_id in {_TRACES} o.user_id = ?)", query.user_id),
    ):
        if bound is not None:
            where.add(term, bound)
    if query.of_traces:
        where.add("trace_id is not null and session_id is null and experiment_id is null")
        where.add("data_type <> 'CORRECTION'")
    if query.with_traces:
        where.add(f"(trace_id is null or trace_id in {_TRACES} true))")
    for tag in query.trace_tags:
        where.add(f"trace_id in {_TRACES} exists (select 1 from json_each(o.tags) t where t.value = ?))", tag)
    if query.comparison is not None:
        operator, number = query.comparison
        where.add(f"value {operator} ?", number)
    if query.after is not None:
        where.add("(timestamp, id) < (?, ?)", *query.after)
    compile_conditions(list(query.conditions), where, FILTER_COLUMNS)
    return where


def traces_of(
    connection: sqlite3.Connection, project: int, trace_ids: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return user, session, tags and environment of traces by id: the last that an observation had.

    A trace without observations is left out.
    """
    found: dict[str, dict[str, Any]] = {}
    for trace_id in trace_ids:
        trace: dict[str, Any] = {}
        for row in connection.execute(
            "select user_id, session_id, tags, environment from observations"
            " where project = ? and trace_id = ? order by seq",
            (project, pack(trace_id)),
        ):
            trace |= {key: row[key] for key in row.keys() if row[key]}  # noqa: SIM118  a row is not a mapping
        if trace:
            found[trace_id] = trace
    return found
