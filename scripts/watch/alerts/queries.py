"""From series to queries of Metrics API v2, as few as possible, and from their rows to values.

Scores of the same window, grouping and filters share one query, with the score's name as a dimension; the
statistics of one metric share one query anyway. A share needs a second query, for the rows that it counts.
Amounts by agent need a query for the agents and two for each: the API selects by metadata but does not group.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .catalog import (
    AGENT_TYPE,
    DIMENSIONS,
    OBSERVATIONS,
    Filter,
    Metric,
    dimension_of,
    find_metric,
    is_array,
    one_of,
    score_name,
)
from .expression import Criterion
from .model import Window
from .series import Series

CANARY_ENVIRONMENT = "stack-canary"
OWN_ENVIRONMENTS = (CANARY_ENVIRONMENT, "stack-smoke", "stack-smoke-otel")
"""Where the canary and the smoke tests write: nobody's quality, cost or alert."""
"""Where the canary writes; no metric counts it."""
ROW_LIMIT = 1000
AGENTS_ASKED = 20
"""Agents whose amounts are asked for, those with most runs."""
NO_GROUP = "none"
"""The group of what has no name, user, tag ..."""
MIN_ELAPSED = 0.05
"""Before 5 % of a day or a month are over nothing is projected: one early hour says little about the rest."""

_NEGATED = {"!=": "=="}
_AGENT_COLUMN = DIMENSIONS["agent"].of_observations
_WITHOUT_OWN: Filter = {**one_of("environment", *OWN_ENVIRONMENTS), "operator": "none of"}
Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Scope:
    """The rows that a query is about; queries of the same scope are one query.

    Attributes:
        filters: as canonical JSON.
        by_metadata: whether groups are agents that only the calls' metadata name: each takes two queries.
    """

    view: str
    filters: str
    group_by: str
    window: Window
    by_metadata: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """One number of one query: `sum` of `totalCost` of a scope's rows, or `avg` of `value` of one score."""

    scope: Scope
    measure: str
    aggregation: str
    score: str = ""

    @property
    def key(self) -> str:
        """The key of the number in a row of the answer."""
        return f"{self.aggregation}_{self.measure}"


@dataclass(frozen=True, slots=True)
class Query:
    """One request to the Metrics API."""

    scope: Scope
    measures: tuple[tuple[str, str], ...]
    scores: tuple[str, ...]

    def document(self, now: datetime, agent: Filter | None = None) -> dict[str, Any]:
        """Return the `query` parameter for the window that ends `now`.

        Args:
            now: when the window ends.
            agent: selects the calls of one agent, instead of a grouping.
        """
        filters: list[Filter] = json.loads(self.scope.filters)
        if self.scores:
            filters.append(one_of("name", *self.scores))
        if agent:
            filters.append(agent)
        dimensions = [{"field": "name"}] if self.scores else []
        grouped = self.scope.group_by and not agent
        if grouped:
            dimensions.append({"field": dimension_of(self.scope.group_by).column(self.scope.view)})
        document: dict[str, Any] = {
            "view": self.scope.view,
            "metrics": [{"measure": measure, "aggregation": how} for measure, how in self.measures],
            "dimensions": dimensions,
            "filters": filters,
            "fromTimestamp": _iso(self.scope.window.start(now)),
            "toTimestamp": _iso(now),
            "config": {"row_limit": ROW_LIMIT},
        }
        if grouped:
            measure, how = self.measures[0]
            document["orderBy"] = [{"field": f"{how}_{measure}", "direction": "desc"}]
        return document

    def agents_document(self, now: datetime) -> dict[str, Any]:
        """Return the query for the agents that ran in the window, those with most runs first."""
        return {
            "view": OBSERVATIONS,
            "metrics": [{"measure": "count", "aggregation": "count"}],
            "dimensions": [{"field": _AGENT_COLUMN}],
            "filters": [AGENT_TYPE, _WITHOUT_OWN],
            "fromTimestamp": _iso(self.scope.window.start(now)),
            "toTimestamp": _iso(now),
            "orderBy": [{"field": "count_count", "direction": "desc"}],
            "config": {"row_limit": AGENTS_ASKED},
        }


def agents_in(rows: Rows) -> list[str]:
    """Return the agents that an answer to `agents_document` names."""
    return [str(row[_AGENT_COLUMN]) for row in rows if row.get(_AGENT_COLUMN)]


def rows_of_agent(agent: str, rows: Rows) -> Rows:
    """Return rows as they were if the API could group by agent; without the empty row of no calls."""
    return [{**row, _AGENT_COLUMN: agent} for row in rows if float(row.get("count_count") or 0)]


@dataclass(frozen=True, slots=True)
class Answers:
    """The rows of all queries of one project.

    Attributes:
        asked: how many requests that took.
    """

    rows: Mapping[Scope, Rows]
    asked: int = 0

    def groups(self, column: Column) -> list[str]:
        """Return the groups that have rows, largest first; one empty name where nothing is grouped."""
        if not column.scope.group_by:
            return [""]
        sizes: dict[str, float] = defaultdict(float)
        for row in self._of(column):
            for group in _groups(column.scope, row):
                sizes[group] += float(row.get(column.key) or 0)
        return sorted(sizes, key=lambda group: -sizes[group])

    def number(self, column: Column, group: str) -> float | None:
        """Return the number, or None where there is none.

        A group that several rows belong to, such as a tag, has what these rows are together.
        """
        found = [
            float(row[column.key])  # the server writes some numbers as texts
            for row in self._of(column)
            if row.get(column.key) is not None
            and (not column.scope.group_by or group in _groups(column.scope, row))
        ]
        if not found:
            return None
        return {"min": min, "max": max}.get(column.aggregation, sum)(found)

    def _of(self, column: Column) -> Iterable[Mapping[str, Any]]:
        return (
            row
            for row in self.rows.get(column.scope, ())
            if not column.score or row.get("name") == column.score
        )


def _groups(scope: Scope, row: Mapping[str, Any]) -> list[str]:
    """Return the groups that a row belongs to: one, or for a list such as tags each that is meant."""
    dimension, prefix = dimension_of(scope.group_by), scope.group_by.partition(":")[2]
    value = row.get(dimension.column(scope.view))
    if not dimension.array:
        return [str(value or NO_GROUP)]
    members = value if isinstance(value, list) else [value] if value else []
    named = [str(member) for member in dict.fromkeys(members) if str(member).startswith(prefix)]
    return named or ([] if prefix else [NO_GROUP])


def plan_queries(series: Iterable[Series]) -> list[Query]:
    """Return the fewest queries that give the values of all series."""
    measures: dict[Scope, dict[tuple[str, str], None]] = defaultdict(dict)
    scores: dict[Scope, dict[str, None]] = defaultdict(dict)
    for one in series:
        for column in _columns(one):
            measures[column.scope][(column.measure, column.aggregation)] = None
            if column.score:
                scores[column.scope][column.score] = None
    return [
        # `count` first: groups are taken by size.
        Query(scope, tuple(sorted(found, key=lambda pair: pair[1] != "count")), tuple(sorted(scores[scope])))
        for scope, found in measures.items()
    ]


def values(series: Series, answers: Answers, now: datetime) -> dict[str, float]:
    """Return the value of each group; what is not grouped stands under the empty name.

    Without data there is no average; count and sum are 0.
    """
    base = _count_column(series)
    result: dict[str, float] = {}
    for group in answers.groups(base):
        value = _value(series, answers, group, now)
        if value is not None:
            result[group] = value
    return result


def _value(series: Series, answers: Answers, group: str, now: datetime) -> float | None:
    metric = _metric(series)
    count = answers.number(_count_column(series), group) or 0.0
    if series.statistic == "count":
        return count
    if metric.numerator or series.test:
        part = answers.number(_part_column(series, metric), group) or 0.0
        inverted = series.test is not None and series.test.operator in _NEGATED
        return None if not count else (count - part if inverted else part) / count
    if series.statistic == "projected":
        elapsed = series.window.elapsed(now)
        total = (
            count if metric.measure == "count" else answers.number(_own_column(series, metric), group) or 0.0
        )
        return None if elapsed < MIN_ELAPSED else total * metric.scale / elapsed
    value = answers.number(_own_column(series, metric), group) if count else None
    if value is None:
        return 0.0 if series.statistic == "sum" else None
    return value / count if _is_summed_average(series) else value * metric.scale


def _columns(series: Series) -> Iterable[Column]:
    metric = _metric(series)
    yield _count_column(series)
    if metric.numerator or series.test:
        yield _part_column(series, metric)
    elif series.statistic != "count" and metric.measure != "count":
        yield _own_column(series, metric)


def _own_column(series: Series, metric: Metric) -> Column:
    how = "sum" if series.statistic == "projected" or _is_summed_average(series) else series.statistic
    return Column(_scope(series), metric.measure, how, _score(series))


def _is_summed_average(series: Series) -> bool:
    """Whether it is the average of a group that many rows belong to: averages of rows cannot be added up."""
    return series.statistic == "avg" and (is_array(series.group_by) or _scope(series).by_metadata)


def _count_column(series: Series) -> Column:
    metric = _metric(series)
    if metric.distinct:
        return Column(_scope(series), metric.measure, "uniq")
    return Column(_scope(series), "count", "count", _score(series))


def _part_column(series: Series, metric: Metric) -> Column:
    part = metric.numerator if series.test is None else _test_filter(series.test)
    return Column(_scope(series, part), "count", "count", _score(series))


def _scope(series: Series, part: Filter | None = None) -> Scope:
    metric = _metric(series)
    filters = list(metric.filters)
    of_agents = "agent" in (series.group_by, *(key for key, _ in series.filters))
    if of_agents and metric.view == OBSERVATIONS and not metric.of_calls:
        filters.append(AGENT_TYPE)
    for chosen, operator in ((series.filters, "any of"), (series.excluded, "none of")):
        for key, values_ in chosen:
            dimension = DIMENSIONS[key]
            kind = "arrayOptions" if dimension.array else "stringOptions"
            column = dimension.column(metric.view)
            filters.append({**one_of(column, *values_), "operator": operator, "type": kind})
    if not any(key == "environment" for key, _ in series.filters):
        filters.append(_WITHOUT_OWN)
    if part is not None:
        filters.append(part)
    by_metadata = metric.of_calls and series.group_by == "agent"
    return Scope(
        metric.view, json.dumps(filters, sort_keys=True), series.group_by, series.window, by_metadata
    )


def _test_filter(test: Criterion) -> Filter:
    if isinstance(test.value, str):
        return one_of("stringValue", test.value)
    operator = "=" if test.operator in ("==", "!=") else test.operator
    return {"column": "value", "operator": operator, "value": test.value, "type": "number"}


def _score(series: Series) -> str:
    return "" if _metric(series).view == OBSERVATIONS else score_name(series.metric)


def _metric(series: Series) -> Metric:
    return find_metric(series.metric, categorical=series.categorical)


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
