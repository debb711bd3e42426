"""A checked metrics query as one DuckDB statement, with what is needed to read its rows.

Without joins a row is an entity, and one aggregation answers the query. A join makes several rows of an
entity (an observation has many scores); they are folded into one per entity first, and then aggregated.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from langfuse_embedded.http.errors import InvalidRequest

from .checks import check_conditions, check_names, check_order, filtered_dimension
from .conditions import Binder, condition_sql
from .histogram import counted_sample_sql, sample_sql
from .model import Dimension, Measure, View
from .query import Metric, MetricsQuery

_QUANTILES = {"p50": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99}
_MINUTE, _HOUR, _DAY = 60_000, 3_600_000, 86_400_000
_DISTINCT = "count(distinct {})"
TIME = "time_dimension"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the result. `filler` is its value in a time bucket without data."""

    name: str
    filler: Any = None
    is_histogram: bool = False


@dataclass(frozen=True, slots=True)
class Statement:
    """What to run, and how to read its rows.

    `fill` is the granularity in which buckets of time without data are added, or ``None``; `row_limit` counts
    them, too.
    """

    sql: str
    values: dict[str, Any]
    columns: tuple[Column, ...]
    fill: str | None
    row_limit: int | None


@dataclass(slots=True)
class _Part:
    """One column while it is compiled: the value of a row, and how rows of an entity and groups fold it.

    `group` is what rows are grouped by for it, if that is another expression than the value.
    """

    column: Column
    value: str
    group: str = ""
    per_entity: str = "any_value({})"
    aggregate: str = ""


@dataclass(slots=True)
class _Source:
    """Where rows come from: the table, what is joined to it, and the lists that are expanded."""

    joins: list[str] = field(default_factory=list)
    expansions: list[str] = field(default_factory=list)
    # Expanded names belong to the identity of a row when rows of an entity are folded.
    expanded: list[str] = field(default_factory=list)
    conditions: list[str] = field(default_factory=list)


def compile_query(query: MetricsQuery, view: View, project: int, default_limit: int | None) -> Statement:
    """Return the statement that answers `query` for one project.

    Raises:
        InvalidRequest: a name, an aggregation, a filter or an order does not fit the view.
    """
    check_names(query, view)
    metrics = list(dict.fromkeys(query.metrics))
    dimensions = _dimensions(query, view, metrics)
    check_conditions(query.conditions, view)
    check_order(query, dimensions)
    binder = Binder()
    source = _source(query, view, project, dimensions, metrics, binder)
    keys = _keys(query, view, dimensions, source)
    measures = [_measure(metric, view.measures[metric.measure], metrics) for metric in metrics] or [
        _row_count()
    ]
    limit = query.row_limit or default_limit
    if not keys and _is_counted(view, source, metrics):
        sql = _counted(view, source, measures[0])
    else:
        rows = _nested if source.joins and metrics else _flat
        sql = rows(view, source, keys, measures) + _order(query, keys, measures)
        if limit:
            sql = f"{sql} limit {limit}"
        sql = _sampled(sql, len(keys), measures)
    return Statement(
        sql=sql,
        values=binder.values,
        columns=tuple(part.column for part in (*keys, *measures)),
        fill=None if query.order else query.granularity,
        row_limit=limit,
    )


def uses_metadata(query: MetricsQuery, view: View) -> bool:
    """Return whether a filter looks at metadata, which the projection holds only once it is asked for."""
    return any(
        condition.column == "metadata" and filtered_dimension(condition.column, view) is None
        for condition in query.conditions
    )


def _dimensions(query: MetricsQuery, view: View, metrics: list[Metric]) -> dict[str, Dimension]:
    names = dict.fromkeys(query.dimensions)
    for metric in metrics:
        if needed := view.measures[metric.measure].pair_of:
            names.setdefault(needed)
    dimensions = {name: view.dimensions[name] for name in names}
    pairs = [name for name, dimension in dimensions.items() if dimension.pair]
    if len(pairs) > 1:
        raise InvalidRequest(
            f"Only one pairExpand dimension is supported per query. Found: {', '.join(pairs)}"
        )
    return dimensions


def _source(
    query: MetricsQuery,
    view: View,
    project: int,
    dimensions: dict[str, Dimension],
    metrics: list[Metric],
    binder: Binder,
) -> _Source:
    start, end = binder.bind(query.start), binder.bind(query.end)
    source = _Source()
    source.conditions += [
        f"{view.project} = {binder.bind(project)}",
        f"{view.time} >= {start}",
        f"{view.time} <= {end}",
    ]
    if view.condition:
        source.conditions.append(view.condition)
    relations = dict.fromkeys(dimension.relation for dimension in dimensions.values())
    relations.update(dict.fromkeys(view.measures[metric.measure].relation for metric in metrics))
    for condition in query.conditions:
        source.conditions.append(condition_sql(condition, view, binder))
        if dimension := filtered_dimension(condition.column, view):
            relations.setdefault(dimension.relation)
    for name in filter(None, relations):
        relation = view.relations[name]
        source.joins.append(f"join {relation.table} {relation.alias} on {relation.on}")
        source.conditions += [f"{relation.time} >= {start}", f"{relation.time} <= {end}"]
    return source


def _keys(query: MetricsQuery, view: View, dimensions: dict[str, Dimension], source: _Source) -> list[_Part]:
    keys = [_key(name, dimension, source) for name, dimension in dimensions.items()]
    if query.granularity is not None:
        keys.append(_Part(Column(TIME), _bucket(view.time, query.granularity)))
    return keys


def _key(name: str, dimension: Dimension, source: _Source) -> _Part:
    if not (dimension.explode or dimension.pair):
        return _Part(Column(name, dimension.filler), dimension.sql, dimension.group_sql)
    alias = f"e{len(source.expansions)}"
    lists = f"unnest({dimension.sql}) as entry"
    if dimension.pair:
        lists += f", unnest({dimension.pair}) as pair_value"
    source.expansions.append(f"(select {lists}) {alias}")
    source.expanded.append(f"{alias}.entry")
    return _Part(Column(name, dimension.filler), f"{alias}.entry")


def _bucket(time: str, granularity: str) -> str:
    if granularity == "minute":
        return f"{time} // {_MINUTE} * {_MINUTE}"
    if granularity == "hour":
        return f"{time} // {_HOUR} * {_HOUR}"
    if granularity == "day":
        return f"{time} // {_DAY} * {_DAY}"
    return f"epoch_ms(date_trunc('{granularity}', epoch_ms({time})))"


def _measure(metric: Metric, measure: Measure, metrics: list[Metric]) -> _Part:
    counts = metric.aggregation in ("count", "uniq")
    histogram = metric.aggregation == "histogram"
    filler: Any = [] if histogram else 0 if counts or not measure.nullable else None
    return _Part(
        Column(metric.name, filler, histogram),
        measure.sql,
        per_entity=measure.per_entity,
        aggregate=_quantile(metric, metrics) or _aggregate(metric.aggregation, nullable=measure.nullable),
    )


def _row_count() -> _Part:
    return _Part(Column("count", 0), "1", aggregate="count({})")


def _quantile(metric: Metric, metrics: list[Metric]) -> str:
    """Return a quantile as one of all that are asked of its measure: DuckDB makes that list once."""
    asked = [
        one.aggregation for one in metrics if one.measure == metric.measure and one.aggregation in _QUANTILES
    ]
    if metric.aggregation not in asked:
        return ""
    return f"quantile_cont({{}}, {[_QUANTILES[one] for one in asked]})[{asked.index(metric.aggregation) + 1}]"


def _aggregate(aggregation: str, *, nullable: bool) -> str:
    if aggregation == "uniq":
        return _DISTINCT
    if aggregation == "histogram":
        return "list({}::double order by {}) filter (where {} is not null)"
    if aggregation in ("sum", "min", "max") and not nullable:
        # Over no rows at all the server says 0, where SQL says null.
        return f"coalesce({aggregation}({{}}), 0)"
    return f"{aggregation}({{}})"


def _flat(view: View, source: _Source, keys: list[_Part], measures: list[_Part]) -> str:
    if not keys:
        return _whole(view, source, measures)
    selected = [f"{key.value} as k{i}" for i, key in enumerate(keys)]
    selected += [f"{_applied(part.aggregate, part.value)} as m{i}" for i, part in enumerate(measures)]
    return f"select {', '.join(selected)} {_from(view, source)}{_group(_groups(keys))}"


def _whole(view: View, source: _Source, measures: list[_Part]) -> str:
    """Return one row over everything; distinct values are counted apart, which takes half the time."""
    columns = [f"{_applied(part.aggregate, part.value)} as m{i}" for i, part in enumerate(measures)]
    apart = [one for one, part in zip(columns, measures, strict=True) if part.aggregate == _DISTINCT]
    together = [one for one in columns if one not in apart]
    queries = [", ".join(together)] * bool(together) + apart
    if len(queries) == 1:
        return f"select {', '.join(columns)} {_from(view, source)}"
    rows = ", ".join(f"(select {query} {_from(view, source)}) q{i}" for i, query in enumerate(queries))
    return f"select {', '.join(f'm{i}' for i in range(len(columns)))} from {rows}"


def _nested(view: View, source: _Source, keys: list[_Part], measures: list[_Part]) -> str:
    inner = [f"any_value({key.value}) as k{i}" for i, key in enumerate(keys)]
    inner += [f"{_applied(part.per_entity, part.value)} as m{i}" for i, part in enumerate(measures)]
    identity = ", ".join([view.key, *source.expanded])
    outer = [f"k{i}" for i in range(len(keys))]
    outer += [f"{_applied(part.aggregate, f'm{i}')} as m{i}" for i, part in enumerate(measures)]
    entities = f"select {', '.join(inner)} {_from(view, source)} group by {identity}"
    return f"select {', '.join(outer)} from ({entities}){_group([f'k{i}' for i in range(len(keys))])}"


def _is_counted(view: View, source: _Source, metrics: list[Metric]) -> bool:
    """Tell whether the query is a histogram of whole numbers, and no more, over rows of one table."""
    if len(metrics) != 1 or source.joins:
        return False
    [metric] = metrics
    return metric.aggregation == "histogram" and view.measures[metric.measure].type == "integer"


def _counted(view: View, source: _Source, measure: _Part) -> str:
    value = f"({measure.value})"
    counted = f"select {value}::double as v, count({value}) as c {_from(view, source)} group by v"
    return counted_sample_sql(counted)


def _sampled(sql: str, keys: int, measures: list[_Part]) -> str:
    """Cut the values of histograms down to a sample, once they are grouped."""
    if not any(part.column.is_histogram for part in measures):
        return sql
    columns = [f"k{i}" for i in range(keys)]
    columns += [
        sample_sql(f"m{i}") if part.column.is_histogram else f"m{i}" for i, part in enumerate(measures)
    ]
    return f"select {', '.join(columns)} from ({sql})"


def _applied(template: str, value: str) -> str:
    return template.replace("{}", f"({value})")


def _from(view: View, source: _Source) -> str:
    tables = " ".join([view.source, *source.joins])
    expansions = "".join(f", {expansion}" for expansion in source.expansions)
    return f"from {tables}{expansions} where {' and '.join(source.conditions)}"


def _groups(keys: list[_Part]) -> list[str]:
    return [key.group or str(i + 1) for i, key in enumerate(keys)]


def _group(expressions: list[str]) -> str:
    return f" group by {', '.join(expressions)}" if expressions else ""


def _order(query: MetricsQuery, keys: list[_Part], measures: list[_Part]) -> str:
    places = {part.column.name: i + 1 for i, part in enumerate((*keys, *measures))}
    if query.order:
        wanted = [(places[order.field], order.descending) for order in query.order]
    elif query.granularity is not None:
        wanted = [(places[TIME], False)]
    elif not measures[0].column.is_histogram and query.metrics:
        wanted = [(len(keys) + 1, True)]
    elif keys:
        wanted = [(1, False)]
    else:
        return ""
    terms = (f"{place} {'desc' if descending else 'asc'} nulls last" for place, descending in wanted)
    return f" order by {', '.join(terms)}"
