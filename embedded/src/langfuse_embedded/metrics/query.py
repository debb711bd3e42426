"""The metrics query as a client writes it, and as the compiler takes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langfuse_embedded.http.filters import CONDITIONS, Condition
from langfuse_embedded.http.queries import JsonText
from langfuse_embedded.http.schema import Array, Datetime, Enum, Number, Object, Schema, String

from .model import GRANULARITIES, NUMERIC_AGGREGATIONS

_HOUR = 3_600_000
# Ranges of time below which "auto" takes a granularity: about 50 buckets.
_AUTO = ((2 * _HOUR, "minute"), (72 * _HOUR, "hour"), (1440 * _HOUR, "day"), (8760 * _HOUR, "week"))


@dataclass(frozen=True, slots=True)
class Metric:
    """A measure and how to aggregate it."""

    measure: str
    aggregation: str

    @property
    def name(self) -> str:
        """What the result calls it, such as `sum_totalCost`."""
        return f"{self.aggregation}_{self.measure}"


@dataclass(frozen=True, slots=True)
class Order:
    """One key of the order of rows."""

    field: str
    descending: bool


@dataclass(frozen=True, slots=True)
class MetricsQuery:
    """A query that has the right shape. Its names are still to be checked against a view.

    Times are Unix milliseconds, both included. `granularity` is resolved (never `auto`) or ``None``.
    """

    view: str
    dimensions: tuple[str, ...]
    metrics: tuple[Metric, ...]
    conditions: tuple[Condition, ...]
    granularity: str | None
    start: int
    end: int
    order: tuple[Order, ...]
    bins: int | None = None
    row_limit: int | None = None


def query_shape(views: Sequence[str]) -> Schema:
    """Return the shape of the route's query string: `?query=<JSON>`, parsed to a `MetricsQuery`."""
    document = Object(
        {
            "view": Enum(*views),
            "dimensions": Array(Object({"field": String()})).default(list),
            "metrics": Array(Object({"measure": String(), "aggregation": Enum(*NUMERIC_AGGREGATIONS)})),
            "filters": CONDITIONS.default(list),
            "timeDimension": Object({"granularity": Enum(*GRANULARITIES)}).nullish(),
            "fromTimestamp": Datetime(),
            "toTimestamp": Datetime(),
            "orderBy": Array(Object({"field": String(), "direction": Enum("asc", "desc")})).nullish(),
            "config": Object(
                {
                    "bins": Number(integer=True, ge=1, le=100).optional(),
                    "row_limit": Number(integer=True, gt=0, le=1000).optional(),
                }
            ).optional(),
        }
    ).refine(_runs_forward, "fromTimestamp must be before toTimestamp")
    return Object({"query": JsonText(document.transform(_query), "query")})


def _runs_forward(document: dict[str, Any]) -> bool:
    start, end = document["fromTimestamp"], document["toTimestamp"]
    # A time that could not be read is NaN to JavaScript, and before nothing.
    return start is not None and end is not None and start < end


def _query(document: dict[str, Any]) -> MetricsQuery:
    config = document.get("config", {})
    start, end = document["fromTimestamp"], document["toTimestamp"]
    return MetricsQuery(
        view=document["view"],
        dimensions=tuple(entry["field"] for entry in document["dimensions"]),
        metrics=tuple(Metric(entry["measure"], entry["aggregation"]) for entry in document["metrics"]),
        conditions=tuple(document["filters"]),
        granularity=_granularity(document.get("timeDimension"), start, end),
        start=start,
        end=end,
        order=tuple(
            Order(entry["field"], entry["direction"] == "desc") for entry in document.get("orderBy") or ()
        ),
        bins=config.get("bins"),
        row_limit=config.get("row_limit"),
    )


def _granularity(time_dimension: dict[str, str] | None, start: int, end: int) -> str | None:
    if time_dimension is None:
        return None
    wanted = time_dimension["granularity"]
    if wanted != "auto":
        return wanted
    return next((name for below, name in _AUTO if end - start < below), "month")
