"""The questions of a report to Metrics API v2: pure, as the documents that the API takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from scripts.watch.alerts.catalog import AGENT_TYPE, METRICS, NUMERIC_SCORES, OBSERVATIONS, Filter, one_of
from scripts.watch.alerts.queries import OWN_ENVIRONMENTS

Document = dict[str, Any]

WINDOWS = (7, 30)
"""Days that a report covers."""
ROW_LIMIT = 1000
TOP = 20
"""Groups that a table shows; the others are summed up."""
TOP_TRENDS = 20
TOP_MODELS = 5
"""Models that the plot of daily costs tells apart: as many as colours can be."""

CATEGORICAL_SCORES = "scores-categorical"
AMOUNTS = (("totalCost", "sum"), ("totalTokens", "sum"), ("inputTokens", "sum"), ("count", "count"))
PERCENTILES = (50, 95, 99)
LATENCIES = (("count", "count"), *(("latency", f"p{percent}") for percent in PERCENTILES))
AVERAGES = (("count", "count"), ("value", "avg"))

_NO_CANARY: Filter = {
    "column": "environment",
    "operator": "none of",
    "value": list(OWN_ENVIRONMENTS),
    "type": "stringOptions",
}
CALLS = METRICS["llm_cost"].filters
"""What model calls are: generations and embeddings."""
ROOTS = METRICS["latency"].filters
AGENTS = (AGENT_TYPE,)
JUDGEMENTS = ("task_success", "quality")
"""Scores of an agent's run that its row shows."""


@dataclass(frozen=True, slots=True)
class Span:
    """A time from `start` up to `end`, both UTC."""

    start: datetime
    end: datetime

    @property
    def days(self) -> list[str]:
        """The UTC days that it touches, as YYYY-MM-DD."""
        count = (self.end.date() - self.start.date()).days + 1
        return [f"{self.start.date() + timedelta(days=day)}" for day in range(count)]


def window(now: datetime, days: int) -> Span:
    """Return the last `days` UTC days, today included: from its first midnight to now."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return Span(midnight - timedelta(days=days - 1), now)


def question(
    span: Span,
    view: str,
    measures: Sequence[tuple[str, str]],
    *,
    by: Sequence[str] = (),
    filters: Sequence[Filter] = (),
    daily: bool = False,
    limit: int = ROW_LIMIT,
) -> Document:
    """Return a query: measures of a view in a time, for each combination of the dimensions in `by`.

    The groups that have most of the first measure come first, `limit` of them. With `daily`, each day has
    rows of its own.
    """
    document: Document = {
        "view": view,
        "metrics": [{"measure": measure, "aggregation": how} for measure, how in measures],
        "dimensions": [{"field": field} for field in by],
        "filters": [*filters, _NO_CANARY],
        "fromTimestamp": _iso(span.start),
        "toTimestamp": _iso(span.end),
        "config": {"row_limit": limit},
    }
    if by and not daily:
        measure, how = measures[0]
        document["orderBy"] = [{"field": f"{how}_{measure}", "direction": "desc"}]
    if daily:
        document["timeDimension"] = {"granularity": "day"}
    return document


def amounts(span: Span, by: str = "", *, filters: Sequence[Filter] = ()) -> Document:
    """Return the query for cost, tokens and number of model calls, by a dimension or in all."""
    return question(
        span, OBSERVATIONS, AMOUNTS, by=(by,) if by else (), filters=(*CALLS, *filters), limit=TOP
    )


def models_of(span: Span, models: Sequence[str]) -> Document:
    """Return the query for cost, tokens and number of calls of these models."""
    column = "providedModelName"
    return question(span, OBSERVATIONS, AMOUNTS, by=(column,), filters=(*CALLS, one_of(column, *models)))


def latencies(span: Span, filters: Sequence[Filter], by: str = "") -> Document:
    """Return the query for the percentiles of durations, by a dimension or in all."""
    return question(span, OBSERVATIONS, LATENCIES, by=(by,) if by else (), filters=filters, limit=TOP)


def levels(span: Span, filters: Sequence[Filter], by: str = "") -> Document:
    """Return the query for the number of observations of each level, by a dimension or in all."""
    return question(
        span, OBSERVATIONS, (("count", "count"),), by=(by, "level") if by else ("level",), filters=filters
    )


def averages(span: Span) -> Document:
    """Return the query for number and average of each numeric and boolean score."""
    return question(span, NUMERIC_SCORES, AVERAGES, by=("name",))


def judgements(span: Span) -> Document:
    """Return the query for number and average of the scores that judge runs, by observation."""
    filters = [one_of("name", *JUDGEMENTS)]
    return question(span, NUMERIC_SCORES, AVERAGES, by=("name", "observationName"), filters=filters)


def daily_averages(span: Span, names: Sequence[str]) -> Document:
    """Return the query for number and average of these scores on each day."""
    return question(
        span, NUMERIC_SCORES, AVERAGES, by=("name",), filters=[one_of("name", *names)], daily=True
    )


def categories(span: Span) -> Document:
    """Return the query for the number of each value of each categorical score."""
    return question(span, CATEGORICAL_SCORES, (("count", "count"),), by=("name", "stringValue"))


def daily_costs(span: Span, models: Sequence[str] = ()) -> Document:
    """Return the query for the cost of each day, in all or by these models."""
    by = ("providedModelName",) if models else ()
    filters = [*CALLS, *([one_of("providedModelName", *models)] if models else [])]
    return question(span, OBSERVATIONS, (("totalCost", "sum"),), by=by, filters=filters, daily=True)


def _iso(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
