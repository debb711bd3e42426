"""What the overview asks the Metrics API, and what it shows of the answers: pure, for any server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langfuse_embedded.clock import iso

from .charts import Chart, Series, lines, stacked

_DAY_MS = 86_400_000
_HOURLY_UPTO = 3 * _DAY_MS
_DAILY_UPTO = 92 * _DAY_MS
_ROWS = 1000
_MOST_MODELS = 6
_MOST_SCORES = 12
_OTHER = "others"
_TIME = "time_dimension"
_MODEL = "providedModelName"
_SEEN = ("count_count", "sum_totalCost", "sum_totalTokens", "p50_latency", "p95_latency")
_SCORED = ("count_count", "avg_value")
_NAMES = (_TIME, _MODEL, "name")
OBSERVATIONS, SCORES = "observations", "scores-numeric"

Document = dict[str, Any]
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Range:
    """A range of time in Unix milliseconds, both ends included."""

    start: int
    end: int

    @property
    def granularity(self) -> str:
        """How long the buckets of charts are."""
        length = self.end - self.start
        return "hour" if length <= _HOURLY_UPTO else "day" if length <= _DAILY_UPTO else "week"


def condition(column: str, operator: str, values: Sequence[str], kind: str = "stringOptions") -> Document:
    """Return a filter as the Metrics API takes it."""
    return {"column": column, "type": kind, "operator": operator, "value": list(values)}


def questions(between: Range, filters: Mapping[str, Sequence[Document]]) -> dict[str, Document]:
    """Return queries of the Metrics API by name; `filters` has those of each view.

    An answer has at most a thousand rows: what costs or counts most in a bucket of time comes first.
    """

    def document(
        view: str,
        metrics: Sequence[str],
        *,
        by: str = "",
        most: str = "",
        over_time: bool = False,
        failed: bool = False,
    ) -> Document:
        found: Document = {
            "view": view,
            "metrics": [
                {"aggregation": how, "measure": measure}
                for how, _, measure in (one.partition("_") for one in metrics)
            ],
            "dimensions": [{"field": by}] if by else [],
            "filters": [*filters[view], *([condition("level", "any of", ["ERROR"])] if failed else [])],
            "fromTimestamp": iso(between.start),
            "toTimestamp": iso(between.end),
            "config": {"row_limit": _ROWS},
        }
        if over_time:
            found["timeDimension"] = {"granularity": between.granularity}
        if by:
            found["orderBy"] = [{"field": most, "direction": "desc"}]
        return found

    return {
        "total": document(OBSERVATIONS, (*_SEEN, "uniq_traceId", "uniq_uniqueUserIds")),
        "over_time": document(OBSERVATIONS, _SEEN, over_time=True),
        "errors": document(OBSERVATIONS, ("count_count",), over_time=True, failed=True),
        "models": document(OBSERVATIONS, _SEEN, by=_MODEL, most="sum_totalCost"),
        "cost_by_model": document(
            OBSERVATIONS, ("sum_totalCost",), by=_MODEL, most="sum_totalCost", over_time=True
        ),
        "scores": document(SCORES, _SCORED, by="name", most="count_count"),
        "score_trends": document(SCORES, _SCORED, by="name", most="count_count", over_time=True),
    }


def figures(answers: Mapping[str, Sequence[Row]]) -> dict[str, Any]:
    """Return what the template shows of the answers to `questions`."""
    rows = {name: [_typed(row) for row in answer] for name, answer in answers.items()}
    over_time, by_model, trends = rows["over_time"], rows["cost_by_model"], rows["score_trends"]
    buckets = sorted({row[_TIME] for row in (*over_time, *trends)})
    models = [row for row in rows["models"] if row[_MODEL]]
    scores = [row for row in rows["scores"] if row["name"]]
    failed = {row[_TIME]: row["count_count"] or 0 for row in rows["errors"]}
    return {
        "total": rows["total"][0],
        "errors": sum(failed.values()),
        "models": models,
        "scores": scores,
        "charts": [
            ("Cost by model", "usd", stacked(buckets, _costs(buckets, over_time, models, by_model))),
            ("Tokens", "count", stacked(buckets, [_column("tokens", buckets, over_time, "sum_totalTokens")])),
            (
                "Latency of observations",
                "duration",
                lines(
                    buckets,
                    [_column(one, buckets, over_time, f"{one}_latency", None) for one in ("p50", "p95")],
                ),
            ),
            ("Observations", "count", stacked(buckets, _outcomes(buckets, over_time, failed))),
        ],
        "trends": [(row["name"], _trend(buckets, trends, row["name"])) for row in scores[:_MOST_SCORES]],
    }


def _costs(
    buckets: Sequence[str], over_time: Sequence[Row], models: Sequence[Row], by_model: Sequence[Row]
) -> list[Series]:
    """Return the cost of the most expensive models, and of all others."""
    found = [
        _column(name, buckets, [row for row in by_model if row[_MODEL] == name], "sum_totalCost")
        for name in [row[_MODEL] for row in models[:_MOST_MODELS]]
    ]
    whole = _column(_OTHER, buckets, over_time, "sum_totalCost")
    left = [
        (value or 0) - sum(one.values[place] or 0 for one in found)
        for place, value in enumerate(whole.values)
    ]
    # Less than this is what is left of adding up floats.
    most = max((value or 0 for value in whole.values), default=0)
    others = [value if value > most * 1e-9 else 0 for value in left]
    return [*found, Series(_OTHER, others)] if any(others) else found


def _outcomes(buckets: Sequence[str], over_time: Sequence[Row], failed: Mapping[str, int]) -> list[Series]:
    counts = _column("", buckets, over_time, "count_count").values
    errors = [failed.get(bucket, 0) for bucket in buckets]
    fine = [(count or 0) - wrong for count, wrong in zip(counts, errors, strict=True)]
    return [Series("without error", fine), Series("errors", errors)]


def _trend(buckets: Sequence[str], trends: Sequence[Row], name: str) -> Chart:
    own = [row for row in trends if row["name"] == name and row["count_count"]]
    return lines(buckets, [_column("average", buckets, own, "avg_value", None)], is_fitted=True)


def _column(
    name: str, buckets: Sequence[str], rows: Sequence[Row], metric: str, nothing: float | None = 0
) -> Series:
    found = {row[_TIME]: row[metric] for row in rows}
    return Series(name, [found.get(bucket, nothing) for bucket in buckets])


def _typed(row: Row) -> Row:
    """Return a row with numbers where the server writes some as texts."""
    return {name: value if name in _NAMES else _number(value) for name, value in row.items()}


def _number(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    number = float(value)
    return int(number) if number.is_integer() else number
