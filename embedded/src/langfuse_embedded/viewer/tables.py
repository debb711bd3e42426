"""Lists of observations, and of what they make together (traces, sessions, users), in SQL.

The columns of `metrics.duckdb` answer what an index cannot: any order, any filter, and how often each value
of a filter occurs. Long texts are not there: rows come back by number or id, and the record has the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

from .filters import FILTERS, Filters, Values

FACET_VALUES = 12
WINDOW = 50_000
"""Of the observations that fit, how many of the latest are counted by value, and looked at first."""
MEMBERS = 10
"""What is put together counts with all its observations, about so many for one that fits a filter."""
_MINUTE_MS, _HOUR_MS = 60_000, 3_600_000
_LATENCY = "o.end_time - o.start_time"


class Run(Protocol):
    """Runs a statement of DuckDB with its values and returns its rows."""

    def __call__(self, sql: str, values: dict[str, Any]) -> list[tuple[Any, ...]]: ...


@dataclass(frozen=True, slots=True)
class Order:
    """A column to sort by, and the direction."""

    column: str
    ascending: bool = False

    @classmethod
    def of(cls, text: str, columns: Mapping[str, str]) -> Order:
        """Return the order that a parameter such as `latency` or `latency.asc` names; else newest first."""
        column, _, direction = text.partition(".")
        return cls(column, direction == "asc") if column in columns else cls("time")

    @property
    def text(self) -> str:
        """The query parameter; empty for the default."""
        return "" if self == Order("time") else f"{self.column}.asc" if self.ascending else self.column

    def flipped(self, column: str) -> Order:
        """Return what a click on the head of a column asks for: its largest first, then its smallest."""
        return Order(column, self.column == column and not self.ascending)

    @property
    def direction(self) -> str:
        """The direction in SQL."""
        return "asc" if self.ascending else "desc"


@dataclass(frozen=True, slots=True)
class Table:
    """A kind of list.

    Attributes:
        name: the segment of its address, which is what it lists.
        sorts: what it can be sorted by, as SQL over `observations o`: of a row, or aggregates of its rows.
        facets: filters that are offered with counts.
        key: SQL of what observations are put together by; empty for observations themselves.
        counts_all: a row counts all its observations, if it fits; else only those that fit. A trace that has
            an error has its whole cost; what a user cost this week is what the observations of this week did.
    """

    name: str
    sorts: Mapping[str, str]
    facets: Sequence[str]
    key: str = ""
    counts_all: bool = True

    @property
    def named(self) -> str:
        """The column that "name contains" looks at: of what is put together, the name of the trace."""
        return "o.trace_name" if self.key else "o.name"


_NEWEST = Order("time")
_SUMS = {
    "time": "min(o.start_time)",
    "latency": "max(greatest(o.start_time, coalesce(o.end_time, o.start_time))) - min(o.start_time)",
    "tokens": "sum(o.total_tokens)",
    "cost": "sum(o.total_cost)",
    "observations": "count(*)",
    "errors": "count(*) filter (where o.level = 'ERROR')",
    "traces": "count(distinct o.trace_id)",
}
_SHARED = ("level", "environment", "trace", "model", "tag", "score", "prompt")
OBSERVATIONS = Table(
    "observations",
    {
        "time": "o.start_time",
        "latency": _LATENCY,
        "first": "o.completion_start_time - o.start_time",
        "tokens": "o.total_tokens",
        "cost": "o.total_cost",
        "name": "lower(o.name)",
    },
    ("type", "level", "called", "model", "environment", "tag", "score", "prompt", "tool"),
)
TRACES = Table("traces", _SUMS, _SHARED, "o.trace_id")
SESSIONS = Table("sessions", _SUMS, ("level", "environment", "trace", "tag", "score"), "o.session_id")
USERS = Table(
    "users", _SUMS, ("level", "environment", "trace", "model", "tag"), "o.user_id", counts_all=False
)


@dataclass(frozen=True, slots=True)
class Keyed:
    """A row of a list of what observations make together. Times are Unix milliseconds, the cost is in USD."""

    key: str
    began: int
    ended: int
    observations: int
    traces: int
    errors: int
    warnings: int
    tokens: int
    cost: float


@dataclass(frozen=True, slots=True)
class FacetValue:
    """A value of a filter, and how many rows of the list have it."""

    value: str
    count: int


Facets = dict[str, list[FacetValue]]


class Query:
    """One table under some filters. It runs in a thread.

    `count` runs the statements that are the same for every page and order of a list; by default `run` does.
    """

    def __init__(
        self,
        table: Table,
        filters: Filters,
        project: int,
        run: Run,
        count: Run | None = None,
        window: int = WINDOW,
    ) -> None:
        self._table, self._filters, self._project, self._run = table, filters, project, run
        self._count, self._window = count or run, window
        self._total: int | None = None

    def total(self) -> int:
        """Return how many rows there are on all pages; quickest after `keys`, which may have counted them."""
        if self._total is not None:
            return self._total
        values, table = Values(), self._table
        if self._groups_some:
            sql = f"select count(*) from ({self._keys(values)})"
        else:
            # A hash of the key is as distinct as the key, and counted in a third of the time.
            counted = f"count(distinct hash({table.key}))" if table.key else "count(*)"
            sql = f"select {counted} from observations o where {' and '.join(self._fitting(values))}"
        return int(self._counted(sql, values)[0][0])

    @property
    def _groups_some(self) -> bool:
        """Whether rows are groups of observations, and have to be made to know which of them fit."""
        return bool(self._table.key) and self._table.counts_all and self._narrows()

    @property
    def _wanted(self) -> int:
        """How many of the latest observations that fit are enough; of each there may be a trace of many."""
        is_filtered = bool(self._filters.conditions(Values(), name=self._table.named))
        groups = bool(self._table.key) and self._table.counts_all
        return max(1, self._window // MEMBERS) if groups and is_filtered else self._window

    @cached_property
    def latest_since(self) -> int | None:
        """The hour, or minute, from which on enough of the latest observations that fit began (Unix ms).

        ``None`` where there are not more than these, or where that cannot be told: filters that different
        observations of a trace meet.
        """
        since, count, earliest = self._since(_HOUR_MS)
        if since is not None and count > 2 * self._wanted:
            since, _, _ = self._within(since)._since(_MINUTE_MS)
        # What has all of it leaves nothing out.
        return since if since is not None and since > earliest else None

    def _since(self, unit: int) -> tuple[int | None, int, int]:
        """Return since which unit of time there are as many as wanted, how many, and when the first began."""
        values, wanted = Values(), self._wanted
        [(number, count, earliest)] = self._counted(
            f"select max(unit) filter (where later >= {wanted}),"
            f" min(later) filter (where later >= {wanted}), min(earliest) from (select unit, earliest,"
            f" sum(n) over (order by unit desc) as later from (select o.start_time // {unit} as unit,"
            " count(*) as n, min(o.start_time) as earliest from observations o"
            f" where {' and '.join(self._fitting(values))} group by 1))",
            values,
        )
        if number is None:
            return None, 0, 0
        since = number * unit
        return since if self._filters.since is None else max(since, self._filters.since), count, earliest

    @cached_property
    def latest(self) -> Query | None:
        """The same of what began since `latest_since`, if there is more."""
        return None if self.latest_since is None else self._within(self.latest_since)

    def _within(self, since: int) -> Query:
        filters = replace(self._filters, since=since)
        return Query(self._table, filters, self._project, self._run, self._count, self._window)

    def keys(self, order: Order, limit: int, offset: int = 0) -> list[Any]:
        """Return the numbers of observations, or the ids of what they make together, in order."""
        found = self._of_latest(order, limit, offset)
        return found if len(found) == limit else self._ordered(order, limit, offset)

    def parts(self, order: Order, limit: int) -> Iterator[list[Any]]:
        """Yield the first `limit` of them in order and in two parts: what is found quickly, and the rest."""
        found = self._of_latest(order, limit, 0)
        yield found
        known = set(found)
        yield [one for one in self._ordered(order, limit, 0) if one not in known]

    def _of_latest(self, order: Order, limit: int, offset: int) -> list[Any]:
        """Return what begins last from the latest minutes alone: all else comes behind it in the order.

        Nothing for other orders, nor of users, who have begun what they did long before.
        """
        is_prefix = order == _NEWEST and (self._table.counts_all or not self._table.key)
        return self.latest._ordered(order, limit, offset) if is_prefix and self.latest else []

    def _ordered(self, order: Order, limit: int, offset: int) -> list[Any]:
        values, way, sort = Values(), order.direction, self._table.sorts[order.column]
        if self._table.key:
            counted = ", count(*) over ()" if self._groups_some else ""
            sql = (
                f"select key{counted} from ({self._keys(values, sort=sort)})"
                f" order by sort {way} nulls last, key {way}"
            )
        else:
            sql = (
                f"select o.seq from observations o where {' and '.join(self._fitting(values))}"
                f" order by {sort} {way} nulls last, o.start_time {way}, o.seq {way}"
            )
        rows = self._rows(f"{sql} limit {limit} offset {offset}", values)
        if self._groups_some and rows:
            self._total = rows[0][1]
        return [row[0] for row in rows]

    def sums(self, keys: Sequence[str]) -> list[Keyed]:
        """Return the rows of what observations make together, in the order of their ids."""
        values, key = Values(), self._table.key
        where = ["o.project = $project"] if self._table.counts_all else self._fitting(values)
        rows = self._rows(
            f"select {key}, min(o.start_time),"
            " max(greatest(o.start_time, coalesce(o.end_time, o.start_time))), count(*),"
            " count(distinct o.trace_id), count(*) filter (where o.level = 'ERROR'),"
            " count(*) filter (where o.level = 'WARNING'), sum(o.total_tokens), sum(o.total_cost)"
            f" from observations o where {' and '.join(where)}"
            f" and {key} in (select unnest({values.bind(keys)})) group by {key}",
            values,
        )
        found = {row[0]: Keyed(*row) for row in rows}
        return [found[one] for one in keys if one in found]

    def facets(self) -> tuple[Facets, int | None]:
        """Return the most frequent values of each filter among rows that fit all others; chosen ones, too.

        Where there are more observations than are wanted, rows since `latest_since` are counted, if there are
        any: that time comes second, ``None`` where all rows are counted.
        """
        found = self.latest._facets() if self.latest else {}
        return (found, self.latest_since) if any(found.values()) else (self._facets(), None)

    def _facets(self) -> Facets:
        values, chosen = Values(), self._filters.chosen
        counted = "count(distinct k)" if self._table.key else "count(*)"
        shared: dict[str, str] = {}
        parts = []
        for name in self._table.facets:
            mark = values.bind(list(chosen.get(name, ())))
            parts.append(
                f"(select '{name}' as f, v, {counted} as n from ({self._facet_source(name, values, shared)})"
                f" where v <> '' group by v order by v in (select unnest({mark})) desc, n desc, v"
                f" limit {FACET_VALUES})"
            )
        found: Facets = {name: [] for name in self._table.facets}
        named = [f"{name} as materialized ({sql})" for name, sql in shared.items()]
        sql = f"with {', '.join(named)} " if named else ""
        for name, value, count in self._counted(sql + " union all ".join(parts), values):
            found[name].append(FacetValue(value, count))
        for name, some in found.items():
            picked = set(chosen.get(name, ()))
            some += [FacetValue(value, 0) for value in picked - {one.value for one in some}]
            some.sort(key=lambda one, picked=picked: (one.value not in picked, -one.count, one.value))  # type: ignore[misc]
        return found

    def environments(self) -> dict[str, int]:
        """Return how many rows each environment has that would be left out as noise."""
        names = self._filters.hidden_environments
        if not names:
            return {}
        values, table = Values(), self._table
        counted = f"count(distinct {table.key})" if table.key else "count(*)"
        mark = values.bind(names)
        where = " and ".join(
            [
                *self._bounds(values),
                f"o.environment in (select unnest({mark}))",
                *([f"{table.key} <> ''"] if table.key else []),
            ]
        )
        return dict(
            self._counted(
                f"select o.environment, {counted} from observations o where {where} group by 1", values
            )
        )

    def _facet_source(self, name: str, values: Values, shared: dict[str, str]) -> str:
        """Return the statement of the values of a filter; `shared` gets what several need, by name."""
        one, table, since = FILTERS[name], self._table, self._filters.since
        # A hash of the key is as distinct as the key, and counted in a third of the time.
        key = f", hash({table.key}) as k" if table.key else ""
        if not (table.key and table.counts_all):
            where = self._fitting(values, but=name)
        else:
            where = ["o.project = $project", f"{table.key} <> ''", *self._noise(values, but=name)]
            if self._narrows(but=name):
                but = name if self._matters(name) else ""
                if f"fit_{but}" not in shared:
                    shared[f"fit_{but}"] = f"select key from ({self._keys(values, but=but)})"
                where.append(f"{table.key} in (select key from fit_{but})")
            if since is not None:
                # Where the first one is in the range, all are: a look at less.
                where.append(f"o.start_time >= {values.bind(since)}")
        condition = " and ".join(where)
        if name == "score":
            # What is counted by key need not be distinct before.
            named = "select s.name as v" if key else "select distinct s.name as v, o.seq"
            return (
                f"{named}{key} from observations o"
                " join scores s on s.project = $project and s.trace_id = o.trace_id"
                " and (s.observation_id = o.id or (s.observation_id is null and"
                f" o.parent_id = '')) where {condition}"
            )
        value = f"unnest({one.sql})" if one.is_list else one.sql
        return f"select {value} as v{key} from observations o where {condition}"

    def _fitting(self, values: Values, but: str = "") -> list[str]:
        """Return the conditions of observations that fit by themselves."""
        key = self._table.key
        return [
            *self._bounds(values),
            *([f"{key} <> ''"] if key else []),
            *self._noise(values, but=but),
            *self._filters.conditions(values, name=self._table.named, but=but),
        ]

    def _noise(self, values: Values, but: str = "") -> list[str]:
        return [] if but == "environment" else self._filters.without_noise(values)

    def _bounds(self, values: Values) -> list[str]:
        found = ["o.project = $project"]
        if self._filters.since is not None:
            found.append(f"o.start_time >= {values.bind(self._filters.since)}")
        if self._filters.before is not None:
            found.append(f"o.start_time < {values.bind(self._filters.before)}")
        return found

    def _matters(self, name: str) -> bool:
        """Tell whether other rows fit when a filter is left out."""
        filters = self._filters
        has_bound = filters.score_min is not None or filters.score_max is not None
        return name in filters.chosen or name == "environment" or (name == "score" and has_bound)

    def _narrows(self, but: str = "") -> bool:
        """Tell whether any filter but one, or a range of time, is there."""
        filters = self._filters
        conditions = filters.conditions(Values(), name=self._table.named, but=but)
        return bool(conditions) or filters.since is not None or filters.before is not None

    def _keys(self, values: Values, *, but: str = "", sort: str = "") -> str:
        """Return the statement of the keys that fit, with what they are sorted by.

        Where a row counts all its observations, each filter may be met by another one of them, and the row is
        in a range of time where its first one is. Noise never counts.
        """
        key, filters = self._table.key, self._filters
        select = f"select {key} as key{f', {sort} as sort' if sort else ''}"
        if not self._table.counts_all:
            where = self._fitting(values, but)
            return f"{select} from observations o where {' and '.join(where)} group by {key}"
        conditions = filters.conditions(values, name=self._table.named, but=but)
        having = [f"bool_or(c{number})" for number in range(len(conditions))]
        where = ["o.project = $project", f"{key} <> ''", *self._noise(values, but)]
        if filters.since is not None:
            having.append(f"min(o.start_time) >= {values.bind(filters.since)}")
        if filters.before is not None:
            having.append(f"min(o.start_time) < {values.bind(filters.before)}")
        if filters.since is not None or filters.before is not None:
            # What has no observation in the range is not looked at: most of the data, usually.
            among = " and ".join(self._bounds(values))
            where.append(f"{key} in (select {key} from observations o where {among})")
        columns = "".join(f", {condition} as c{number}" for number, condition in enumerate(conditions))
        inner = f"(select o.*{columns} from observations o where {' and '.join(where)}) o"
        return f"{select} from {inner} group by {key}{' having ' + ' and '.join(having) if having else ''}"

    def _rows(self, sql: str, values: Values) -> list[tuple[Any, ...]]:
        return self._run(sql, self._bound(sql, values))

    def _counted(self, sql: str, values: Values) -> list[tuple[Any, ...]]:
        return self._count(sql, self._bound(sql, values))

    def _bound(self, sql: str, values: Values) -> dict[str, Any]:
        if "$project" not in sql:  # pragma: no cover - every statement is bound to a project
            raise AssertionError(sql)
        return {**values.bound, "project": self._project}
