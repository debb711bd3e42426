"""Traces and sessions of the legacy API: views over observations, made when they are asked for.

A trace is what its observations say together: names, user, session and the like are the last ones that any of
them gave, tags are united; input, output and metadata are put together in `trace_bodies.py`. Lists look at
all observations of the project: they serve `dual` mode, which older clients and test suites read through, not
a page that many people open.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .bodies import BlockReader, Body
from .hexid import pack, unpack
from .observation_columns import Column, Kind
from .observation_filters import Condition, Where, compile_conditions
from .observation_rows import TRACE_ROOT
from .trace_bodies import register_tags, trace_body


def _upto(horizon: int | None) -> int:
    return 2**63 - 1 if horizon is None else horizon


def _last(column: str) -> str:
    """Return the SQL of the last text that is not empty: the greatest of texts that begin with the number."""
    return f"substr(max(iif({column} <> '', printf('%020d', o.seq) || {column}, null)), 21)"


# A root, or a span whose parent is elsewhere: where a trace begins, as far as it is known here.
_IS_TOP = (
    "not exists (select 1 from observations p"
    " where p.project = o.project and p.trace_id = o.trace_id and p.span_id = o.parent_span_id)"
)
# What the server takes for the root of a trace: no parent, or the mark of an SDK that made the parent up.
_IS_ROOT = "(o.parent_span_id is null or o.as_root)"
# The name that the span which began last gives: by an attribute or, of a root, by its own name. Of spans
# that began together the attribute counts.
_GIVEN = f"iif(o.trace_name = '' and {_IS_ROOT}, o.name, o.trace_name)"
_MOMENT = "printf('%020d%d%020d', o.start_time, o.trace_name <> '', o.seq)"
_NAME = f"substr(max(iif({_GIVEN} <> '', {_MOMENT} || {_GIVEN}, null)), 42)"
# Version and release stand on every observation, for itself. They count for the trace, too, where a root
# or an observation with attributes of the trace gives them.
_SPEAKS_FOR_TRACE = (
    f"({_IS_ROOT} or o.trace_name <> '' or o.user_id <> '' or o.session_id <> '' or o.tags <> '')"
)
_VERSION, _RELEASE = (f"iif({_SPEAKS_FOR_TRACE}, o.{column}, '')" for column in ("version", "release"))
# What the legacy batch said of a trace itself: it is not an observation, and its time is the trace's. Such an
# id is never hexadecimal, so it is stored as text.
_STANDS_FOR_TRACE = f"(typeof(o.span_id) = 'text' and substr(o.span_id, 1, 2) = '{TRACE_ROOT}')"
# Tokens are added up as doubles: the sum of whole numbers is refused by SQLite where it leaves 64 bits.
_TRACES = f"""
    select o.trace_id as id,
        coalesce(max(iif({_STANDS_FOR_TRACE}, o.start_time, null)), min(o.start_time)) as timestamp,
        coalesce(max(iif({_STANDS_FOR_TRACE}, null, coalesce(o.end_time, o.start_time)))
            - min(iif({_STANDS_FOR_TRACE}, null, o.start_time)), 0) as latency,
        coalesce({_NAME}, '') as name,
        coalesce({_last("o.user_id")}, '') as user_id, coalesce({_last("o.session_id")}, '') as session_id,
        coalesce({_last(_VERSION)}, '') as version, coalesce({_last(_RELEASE)}, '') as release,
        {_last("o.environment")} as environment, united_tags(group_concat(distinct o.tags)) as tags,
        max(o.public) as public, coalesce(sum(o.total_cost), 0) as total_cost,
        cast(total(o.total_tokens) as integer) as total_tokens, min(o.created_at) as created_at,
        max(o.created_at) as updated_at, min(iif({_IS_TOP}, o.seq, null)) as root,
        o.project as project, max(o.seq) as newest
    from observations o where o.project = ? and o.seq <= ? {{condition}} group by o.trace_id
"""
# Of the observations of one trace: only a filter that asks for it pays for it.
_OBSERVATIONS = (
    "from observations o where o.project = t.project and o.trace_id = t.id and o.seq <= t.newest"
    f" and not {_STANDS_FOR_TRACE}"
)
_SCORES = (
    "from scores s where s.project = t.project and s.trace_id = t.id"
    " and s.session_id is null and s.experiment_id is null"
)
_LEVEL = (
    "(select case when count(*) = 0 then '' when max(o.level = 'ERROR') then 'ERROR'"
    " when max(o.level = 'WARNING') then 'WARNING' when max(o.level = 'DEFAULT') then 'DEFAULT'"
    " else 'DEBUG' end"
    f" {_OBSERVATIONS})"
)


def _sum(title: str, name: str, column: str) -> Column:
    return Column(name, title, Kind.NUMBER, f"(select total(o.{column}) {_OBSERVATIONS})")


def _count(level: str) -> Column:
    name, title = f"{level.lower()}Count", f"{level.capitalize()} Level Count"
    return Column(name, title, Kind.NUMBER, f"(select count(*) {_OBSERVATIONS} and o.level = '{level}')")


_COLUMNS = (
    Column("id", "ID", Kind.IDENTIFIER, "t.id"),
    Column("traceId", "Trace ID", Kind.IDENTIFIER, "t.id"),
    Column("name", "Name", Kind.CHOICE, "t.name"),
    Column("traceName", "Trace Name", Kind.CHOICE, "t.name"),
    Column("timestamp", "Timestamp", Kind.DATETIME, "t.timestamp"),
    Column("userId", "User ID", Kind.CHOICE, "t.user_id", "string"),
    Column("sessionId", "Session ID", Kind.CHOICE, "t.session_id", "string"),
    Column("environment", "Environment", Kind.CHOICE, "t.environment"),
    Column("version", "Version", Kind.CHOICE, "t.version", "string"),
    Column("release", "Release", Kind.CHOICE, "t.release", "string"),
    Column("tags", "Tags", Kind.ARRAY, "t.tags"),
    Column("traceTags", "Trace Tags", Kind.ARRAY, "t.tags"),
    # Nobody can bookmark a trace here.
    Column("bookmarked", "⭐️", Kind.BOOLEAN, "0"),
    Column("level", "Level", Kind.CHOICE, _LEVEL),
    *map(_count, ("WARNING", "ERROR", "DEFAULT", "DEBUG")),
    Column("latency", "Latency (s)", Kind.NUMBER, "(t.latency / 1000.0)"),
    _sum("Input Tokens", "inputTokens", "input_tokens"),
    _sum("Output Tokens", "outputTokens", "output_tokens"),
    Column("totalTokens", "Total Tokens", Kind.NUMBER, "t.total_tokens"),
    Column("tokens", "Tokens", Kind.NUMBER, "t.total_tokens"),
    _sum("Input Cost ($)", "inputCost", "input_cost"),
    _sum("Output Cost ($)", "outputCost", "output_cost"),
    Column("totalCost", "Total Cost ($)", Kind.NUMBER, "t.total_cost"),
    Column("scores_avg", "Scores (numeric)", Kind.SCORE_NUMBERS, _SCORES),
    Column("score_categories", "Scores (categorical)", Kind.SCORE_CATEGORIES, _SCORES),
    Column("score_booleans", "Scores (boolean)", Kind.SCORE_BOOLEANS, _SCORES),
    Column("metadata", "Metadata", Kind.METADATA, "body_metadata(r.block, b.body, r.position, ?)"),
)
FILTER_COLUMNS = {name: column for column in _COLUMNS for name in (column.name, column.title)}
"""What the filter of a list of traces may name (`tracesTableUiColumnDefinitions` of the server)."""

ORDER_COLUMNS = {
    column.name: column.sql
    for column in _COLUMNS
    if column.name in ("id", "timestamp", "name", "userId", "release", "version", "sessionId")
}
# A number alone would be the place of a column.
ORDER_COLUMNS |= {"public": "t.public", "bookmarked": "0 + 0"}
"""What a list of traces can be ordered by."""


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace: `row` has the columns of the view, `body` what its observations say of it together."""

    row: sqlite3.Row
    body: Body

    @property
    def id(self) -> str:
        """The id of the trace."""
        return unpack(self.row["id"])


@dataclass(frozen=True, slots=True)
class TraceQuery:
    """A page of traces.

    Attributes:
        project: the project's key in the rows.
        conditions: all must hold.
        limit, offset: the page.
        order: a name of `ORDER_COLUMNS`.
        descending: the greatest first.
        horizon: rows beyond this number of the sequence are not visible yet.
    """

    project: int
    conditions: Sequence[Condition]
    limit: int
    offset: int = 0
    order: str = "timestamp"
    descending: bool = True
    horizon: int | None = None


def find_traces(connection: sqlite3.Connection, query: TraceQuery) -> tuple[list[Trace], int]:
    """Return a page of traces, and how many there are on all pages.

    Raises:
        FilterError: the conditions cannot be served.
    """
    blocks = BlockReader(connection)
    blocks.register()
    register_tags(connection)
    where = Where()
    where.add("true")
    compile_conditions(list(query.conditions), where, FILTER_COLUMNS)
    source = f"from ({_TRACES.format(condition='')}) t"
    if where.reads_bodies:
        source += " left join observations r on r.seq = t.root left join blocks b on b.id = r.block"
    values = (query.project, _upto(query.horizon), *where.values)
    total = connection.execute(f"select count(*) {source} where {where.sql}", values).fetchone()[0]
    direction = "desc" if query.descending else "asc"
    rows = connection.execute(
        f"select t.* {source} where {where.sql}"
        f" order by {ORDER_COLUMNS[query.order]} {direction}, t.id {direction} limit ? offset ?",
        (*values, query.limit, query.offset),
    ).fetchall()
    traces = [
        Trace(row, trace_body(connection, blocks, query.project, row["id"], query.horizon)) for row in rows
    ]
    return traces, total


def find_trace(
    connection: sqlite3.Connection, project: int, trace_id: str, horizon: int | None = None
) -> Trace | None:
    """Return one trace, or ``None``."""
    row = find_trace_row(connection, project, trace_id, horizon)
    if row is None:
        return None
    return Trace(row, trace_body(connection, BlockReader(connection), project, row["id"], horizon))


def find_trace_row(
    connection: sqlite3.Connection, project: int, trace_id: str, horizon: int | None = None
) -> sqlite3.Row | None:
    """Return the columns of one trace's view without its long texts, or ``None``."""
    register_tags(connection)
    row: sqlite3.Row | None = connection.execute(
        _TRACES.format(condition="and o.trace_id = ?"), (project, _upto(horizon), pack(trace_id))
    ).fetchone()
    return row


def observation_ids(
    connection: sqlite3.Connection, project: int, trace_id: str, horizon: int | None = None
) -> list[str]:
    """Return the ids of a trace's observations, newest first."""
    rows = connection.execute(
        "select o.span_id from observations o where o.project = ? and o.trace_id = ? and o.seq <= ?"
        f" and not {_STANDS_FOR_TRACE} order by o.start_time desc, o.seq desc",
        (project, pack(trace_id), _upto(horizon)),
    )
    return [unpack(row[0]) for row in rows]


@dataclass(frozen=True, slots=True)
class SessionQuery:
    """A page of sessions; `since` and `before` (exclusive) bound their first arrival, Unix milliseconds."""

    project: int
    limit: int
    offset: int = 0
    since: int | None = None
    before: int | None = None
    environments: Sequence[str] = ()
    session_id: str | None = None
    horizon: int | None = None


def find_sessions(connection: sqlite3.Connection, query: SessionQuery) -> tuple[list[sqlite3.Row], int]:
    """Return a page of sessions (`id`, `created_at`, `environment`), newest first, and how many there are."""
    where = Where()
    where.add("o.project = ? and o.session_id <> ''", query.project)
    where.add("o.seq <= ?", _upto(query.horizon))
    if query.session_id is not None:
        where.add("o.session_id = ?", query.session_id)
    if query.environments:
        where.add(f"o.environment in ({', '.join('?' * len(query.environments))})", *query.environments)
    bounds: list[Any] = [query.since or 0, _upto(query.before)]
    sessions = (
        "select o.session_id as id, min(o.created_at) as created_at,"
        f" substr(min(printf('%020d', o.seq) || o.environment), 21) as environment"
        f" from observations o where {where.sql} group by o.session_id"
        " having min(o.created_at) >= ? and min(o.created_at) < ?"
    )
    values = (*where.values, *bounds)
    total = connection.execute(f"select count(*) from ({sessions})", values).fetchone()[0]
    rows = connection.execute(
        f"{sessions} order by created_at desc, id limit ? offset ?", (*values, query.limit, query.offset)
    ).fetchall()
    return rows, total
