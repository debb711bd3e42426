"""Overview: firing alerts; cost, tokens, latency, errors and scores over time, as the Metrics API counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langfuse_embedded.clock import now_ms
from langfuse_embedded.http.filters import Condition
from langfuse_embedded.metrics.compiler import TIME, compile_query
from langfuse_embedded.metrics.query import Metric, MetricsQuery
from langfuse_embedded.metrics.result import present
from langfuse_embedded.metrics.views import VIEWS

from .charts import Chart, Series, lines, stacked
from .filters import NOISE, RANGES, Filters
from .urls import project_url
from .visit import Answer, Page, View, Visit

_DAY_MS = 86_400_000
_DEFAULT_RANGE = "7d"
_HOURLY_UPTO = 3 * _DAY_MS
_DAILY_UPTO = 92 * _DAY_MS
_ROWS = 1000
_MOST_MODELS = 6
_MOST_SCORES = 6
_OTHER = "others"
# Filters of lists as the Metrics API names them.
_FILTERS = {
    "observations": {
        "environment": "environment", "model": "providedModelName", "user": "userId", "tag": "tags",
        "trace": "traceName",
    },
    "scores-numeric": {"environment": "environment", "user": "userId", "tag": "tags", "trace": "traceName"},
}  # fmt: skip

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Range:
    start: int
    end: int

    @property
    def granularity(self) -> str:
        length = self.end - self.start
        return "hour" if length <= _HOURLY_UPTO else "day" if length <= _DAILY_UPTO else "week"


async def overview(visit: Visit) -> Answer:
    """Show the project in numbers over a range of time, by default the last seven days."""
    filters = Filters.of(visit, _DEFAULT_RANGE)
    assert filters.since is not None, "there is a range of time by default"  # noqa: S101
    between = _Range(filters.since, now_ms() if filters.before is None else filters.before - 1)
    project, horizon = visit.project_key, visit.engine.events.horizon()

    def ask(
        view: str,
        metrics: Sequence[str],
        dimensions: Sequence[str] = (),
        *,
        over_time: bool = False,
        **where: str,
    ) -> list[Row]:
        query = MetricsQuery(
            view=view,
            dimensions=tuple(dimensions),
            metrics=tuple(Metric(*reversed(one.split("_"))) for one in metrics),
            conditions=(
                *_conditions(filters, view),
                *(Condition(column, "string", "=", value) for column, value in where.items()),
            ),
            granularity=between.granularity if over_time else None,
            start=between.start,
            end=between.end,
            order=(),
            row_limit=_ROWS,
        )
        statement = compile_query(query, VIEWS[view], project, _ROWS)
        return present(
            query, statement, visit.engine.metrics.rows(statement.sql, statement.values, horizon=horizon)
        )

    def read() -> dict[str, Any]:
        seen = ("count_count", "sum_totalCost", "sum_totalTokens", "p50_latency", "p95_latency")
        [total] = ask("observations", (*seen, "uniq_traceId", "uniq_uniqueUserIds"))
        [failed] = ask("observations", ["count_count"], level="ERROR")
        over_time = ask("observations", seen, over_time=True)
        errors = ask("observations", ["count_count"], over_time=True, level="ERROR")
        models = [
            row
            for row in ask("observations", seen, ["providedModelName"])
            if row["providedModelName"] is not None
        ]
        by_model = ask("observations", ["sum_totalCost"], ["providedModelName"], over_time=True)
        score_metrics = ("count_count", "avg_value")
        scores = ask("scores-numeric", score_metrics, ["name"])
        by_score = ask("scores-numeric", score_metrics, ["name"], over_time=True)
        models.sort(key=lambda row: -row["sum_totalCost"])
        return {
            "total": total,
            "errors": failed["count_count"],
            "models": models,
            "scores": scores,
            "charts": _charts(over_time, errors, models, by_model, scores, by_score),
        }

    found = await visit.read(read)
    shown = filters.query()
    range_name = filters.texts["range"]

    def url(query: dict[str, Any]) -> str:
        return project_url(visit.project_id, "overview", **query)

    def list_url(table: str, **query: Any) -> str:
        return project_url(visit.project_id, table, **{**shown, **query})

    values = {
        "section": "overview",
        "alerts": visit.engine.alerts.of(visit.project_id),
        **found,
        "ranges": [
            (label, url({**shown, "range": name, "from": None, "to": None}), name == range_name)
            for name, label in RANGES.items()
        ],
        "between": between,
        "chips": [
            (label, value, url(query))
            for label, value, query in filters.chips()
            if label not in ("Time", "From", "To")
        ],
        "noise": [] if "environment" in filters.chosen else [
            (kind, url({**shown, "with": [*filters.shown_noise, kind]}))
            for kind in NOISE
            if kind not in filters.shown_noise
        ],
        "list_url": list_url,
    }  # fmt: skip
    return View("overview.html", values)


def _conditions(filters: Filters, view: str) -> list[Condition]:
    found = [
        Condition(
            column, "arrayOptions" if name == "tag" else "stringOptions", "any of", list(filters.chosen[name])
        )
        for name, column in _FILTERS[view].items()
        if name in filters.chosen
    ]
    if hidden := filters.hidden_environments:
        found.append(Condition("environment", "stringOptions", "none of", hidden))
    return found


def _charts(
    over_time: list[Row], errors: list[Row], models: list[Row], by_model: list[Row], scores: list[Row],
    by_score: list[Row],
) -> list[tuple[str, str, Chart]]:  # fmt: skip
    """Return title, unit and drawing of each chart."""
    buckets = list(dict.fromkeys(row[TIME] for row in over_time))
    expensive = [row["providedModelName"] for row in models[:_MOST_MODELS]]
    failed = {row[TIME]: row["count_count"] for row in errors}
    counts = [row["count_count"] for row in over_time]
    cost = [
        Series(name, _over(buckets, by_model, "providedModelName", [name], "sum_totalCost"))
        for name in expensive
    ]
    rest = [row["providedModelName"] for row in by_model if row["providedModelName"] not in expensive]
    others = Series(_OTHER, _over(buckets, by_model, "providedModelName", rest, "sum_totalCost"))
    if any(others.values):
        cost.append(others)
    names = sorted(scores, key=lambda row: -row["count_count"])[:_MOST_SCORES]
    trends = [
        Series(row["name"], _over(buckets, by_score, "name", [row["name"]], "avg_value", nothing=None))
        for row in names
    ]
    return [
        ("Cost by model", "usd", stacked(buckets, cost)),
        ("Tokens", "count", stacked(buckets, [Series("tokens", _column(over_time, "sum_totalTokens"))])),
        (
            "Latency of observations",
            "duration",
            lines(buckets, [Series(one, _column(over_time, f"{one}_latency")) for one in ("p50", "p95")]),
        ),
        (
            "Observations",
            "count",
            stacked(
                buckets,
                [
                    Series("without error", [
                        count - failed.get(bucket, 0) for bucket, count in zip(buckets, counts, strict=True)
                    ]),
                    Series("errors", [failed.get(bucket, 0) for bucket in buckets]),
                ],
            ),
        ),
        ("Averages of scores", "number", lines(buckets, trends)),
    ]  # fmt: skip


def _column(rows: list[Row], metric: str) -> list[float | None]:
    return [row[metric] for row in rows]


def _over(
    buckets: Sequence[str], rows: list[Row], dimension: str, names: Sequence[str | None], metric: str,
    nothing: float | None = 0,
) -> list[float | None]:  # fmt: skip
    wanted, found = set(names), dict[str, float]()
    for row in rows:
        if row[dimension] in wanted and row[metric] is not None:
            found[row[TIME]] = found.get(row[TIME], 0) + row[metric]
    return [found.get(bucket, nothing) for bucket in buckets]


PAGES = (Page("/project/{projectId}/overview", overview),)
