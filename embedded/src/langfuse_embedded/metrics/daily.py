"""Daily metrics of the legacy API: traces, observations, units and cost by day and model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from langfuse_embedded.clock import iso

_DAY_MS = 86_400_000

Rows = Callable[[str, dict[str, Any]], list[tuple[Any, ...]]]


@dataclass(frozen=True, slots=True)
class DailyQuery:
    """Which traces count: those that have all of it. `since` and `before` (exclusive) are Unix ms."""

    project: int
    trace_name: str | None = None
    user_id: str | None = None
    tags: Sequence[str] = ()
    environments: Sequence[str] = ()
    since: int | None = None
    before: int | None = None


def daily_metrics(query: DailyQuery, rows: Rows) -> list[dict[str, Any]]:
    """Return the days with data, the latest first. `rows` runs a statement over the projection."""
    conditions, values = _conditions(query)
    traces = f"with wanted as (select t.id, t.timestamp from traces t where {conditions})"
    days: dict[int, dict[str, Any]] = {}
    for day, count in rows(
        f"{traces} select timestamp // {_DAY_MS}, count(*) from wanted group by 1", values
    ):
        _day(days, day)["countTraces"] = count
    usage = rows(
        f"{traces} select o.start_time // {_DAY_MS}, nullif(o.model, ''), sum(o.input_tokens),"
        " sum(o.output_tokens), sum(o.total_tokens), sum(o.total_cost), count(*), count(distinct o.trace_id)"
        " from observations o join wanted w on w.id = o.trace_id where o.project = $project"
        " and o.id <> 't-' || o.trace_id"
        " group by 1, 2 order by 2 nulls last",
        values,
    )
    for day, model, read, written, total, cost, observations, of_traces in usage:
        entry = _day(days, day)
        entry["countObservations"] += observations
        entry["totalCost"] += cost
        entry["usage"].append(
            {
                "model": model,
                "inputUsage": read,
                "outputUsage": written,
                "totalUsage": total,
                "totalCost": cost,
                "countObservations": observations,
                "countTraces": of_traces,
            }
        )
    return [days[day] for day in sorted(days, reverse=True)]


def _day(days: dict[int, dict[str, Any]], day: int) -> dict[str, Any]:
    date = iso(day * _DAY_MS).partition("T")[0]
    return days.setdefault(
        day, {"date": date, "countTraces": 0, "countObservations": 0, "totalCost": 0.0, "usage": []}
    )


def _conditions(query: DailyQuery) -> tuple[str, dict[str, Any]]:
    given = {
        "t.name = $trace_name": ("trace_name", query.trace_name),
        "t.user_id = $user_id": ("user_id", query.user_id),
        "list_has_all(t.tags, $tags::varchar[])": ("tags", list(query.tags) or None),
        "list_contains($environments::varchar[], t.environment)": (
            "environments",
            list(query.environments) or None,
        ),
        "t.timestamp >= $since": ("since", query.since),
        "t.timestamp < $before": ("before", query.before),
    }
    conditions = ["t.project = $project"]
    values: dict[str, Any] = {"project": query.project}
    for sql, (name, value) in given.items():
        if value is not None:
            conditions.append(sql)
            values[name] = value
    return " and ".join(conditions), values
