"""Lists of observations, and of what they make together (traces, sessions, users), in SQL.

The columns of `metrics.duckdb` answer what an index cannot: any order, any filter, and how often each value
of a filter occurs. Long texts are not there: rows come back by number or id, and the record has the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from .filters import FILTERS, Filters, Values

FACET_VALUES = 12
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


class Query:
    """One table under some filters. It runs in a thread."""

    def __init__(self, table: Table, filters: Filters, project: int, run: Run) -> None:
        self._table, self._filters, self._project, self._run = table, filters, project, run

    def total(self) -> int:
        """Return how many rows there are on all pages."""
        values = Values()
        if self._table.key:
            sql = f"select count(*) from ({self._keys(values)})"
        else:
            sql = f"select count(*) from observations o where {' and '.join(self._fitting(values))}"
        return int(self._rows(sql, values)[0][0])

    def numbers(self, order: Order, limit: int, offset: int = 0) -> list[int]:
        """Return the numbers of observations in order."""
        values, way = Values(), order.direction
        rows = self._rows(
            f"select o.seq from observations o where {' and '.join(self._fitting(values))}"
            f" order by {self._table.sorts[order.column]} {way} nulls last, o.start_time {way}, o.seq {way}"
            f" limit {limit} offset {offset}",
            values,
        )
        return [row[0] for row in rows]

    def keyed(self, order: Order, limit: int, offset: int = 0) -> list[Keyed]:
        """Return rows of what observations make together, in order."""
        values, way = Values(), order.direction
        keys = [
            row[0]
            for row in self._rows(
                f"select key from ({self._keys(values, sort=self._table.sorts[order.column])})"
                f" order by sort {way} nulls last, key {way} limit {limit} offset {offset}",
                values,
            )
        ]
        # All the sums of the few that are shown, not of those that only take part in the order.
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

    def facets(self) -> dict[str, list[FacetValue]]:
        """Return the most frequent values of each filter among rows that fit all others; chosen ones, too."""
        values, chosen = Values(), self._filters.chosen
        counted = "count(distinct k)" if self._table.key else "count(*)"
        parts = []
        for name in self._table.facets:
            mark = values.bind(list(chosen.get(name, ())))
            parts.append(
                f"(select '{name}' as f, v, {counted} as n from ({self._facet_source(name, values)})"
                f" where v <> '' group by v order by v in (select unnest({mark})) desc, n desc, v"
                f" limit {FACET_VALUES})"
            )
        found: dict[str, list[FacetValue]] = {name: [] for name in self._table.facets}
        for name, value, count in self._rows(" union all ".join(parts), values):
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
            self._rows(
                f"select o.environment, {counted} from observations o where {where} group by 1", values
            )
        )

    def _facet_source(self, name: str, values: Values) -> str:
        one, table = FILTERS[name], self._table
        # A hash of the key is as distinct as the key, and counted in a third of the time.
        key = f", hash({table.key}) as k" if table.key else ""
        if not (table.key and table.counts_all):
            where = self._fitting(values, but=name)
        else:
            where = ["o.project = $project", f"{table.key} <> ''", *self._noise(values, but=name)]
            if self._narrows(but=name):
                where.append(f"{table.key} in (select key from ({self._keys(values, but=name)}))")
        condition = " and ".join(where)
        if name == "score":
            return (
                f"select distinct s.name as v, o.seq{key} from observations o"
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

    def _narrows(self, but: str) -> bool:
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
        if "$project" not in sql:  # pragma: no cover - every statement is bound to a project
            raise AssertionError(sql)
        return self._run(sql, {**values.bound, "project": self._project})
