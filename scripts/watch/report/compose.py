"""From rows of the Metrics API to the tables of a report: pure."""

from __future__ import annotations

import calendar
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from scripts.watch.alerts.queries import Rows

from .model import NONE, OTHER, TOTAL, Agent, Average, Category, Cost, Day, Latency, Point, Projection
from .queries import JUDGEMENTS, PERCENTILES, TOP, Span

RATE_DAYS = 7
MONTH_DAYS = 30
YEAR_DAYS = 365
# Before this part of the first day is over, its pace says little about the days to come.
FIRST_DAY_SHARE = 0.05
ERROR = "ERROR"
# Less than this is what is left of adding up floats.
_NOTHING = 1e-9


def costs_of(rows: Rows, field: str, total: Rows) -> list[Cost]:
    """Return groups, dearest first, then what they lack of the total as others, then the total."""
    return _completed([_cost(str(row.get(field) or NONE), row) for row in rows], total, OTHER)


def agent_costs_of(rows: Mapping[str, Rows], total: Rows) -> list[Cost]:
    """Return agents, dearest first, each with the sum of its rows, then calls of no agent, then the total.

    With as many agents as a table shows there may be more, so that the rest is not that of no agent.
    """
    groups = [_summed(name, [_cost(name, row) for row in own]) for name, own in rows.items()]
    rest = NONE if len(groups) < TOP else OTHER
    return _completed(sorted(groups, key=lambda one: -one.cost), total, rest)


def latencies_of(rows: Rows, levels: Rows, field: str = "") -> list[Latency]:
    """Return durations and shares of errors of each group, or of all where no field names groups.

    Args:
        rows: count and percentiles of durations, in milliseconds.
        levels: number of observations of each level.
        field: the dimension that both are grouped by.
    """
    every: dict[str, int] = defaultdict(int)
    failed: dict[str, int] = defaultdict(int)
    for row in levels:
        every[_group(row, field)] += _integer(row, "count_count")
        failed[_group(row, field)] += _integer(row, "count_count") if row.get("level") == ERROR else 0
    found = []
    for row in rows:
        group = _group(row, field)
        p50, p95, p99 = (_seconds(row.get(f"p{percent}_latency")) for percent in PERCENTILES)
        errors = failed[group] / every[group] if every[group] else None
        found.append(Latency(group, _integer(row, "count_count"), p50, p95, p99, errors))
    return [one for one in found if one.count]


def agents_of(runs: Sequence[Latency], costs: Sequence[Cost], judged: Rows) -> list[Agent]:
    """Return what each agent did and cost. `judged`: averages of scores by name and observation."""
    spent = {cost.name: cost for cost in costs}
    scores = {
        (str(row.get("observationName")), str(row.get("name"))): float(row["avg_value"])
        for row in judged
        if row.get("avg_value") is not None and _integer(row, "count_count")
    }
    success, quality = JUDGEMENTS
    return [
        Agent(
            run.name,
            run.count,
            scores.get((run.name, success)),
            scores.get((run.name, quality)),
            cost.cost,
            cost.cost / run.count if run.count else None,
            cost.tokens,
            cost.input_tokens / cost.tokens if cost.tokens else None,
        )
        for run in runs
        for cost in (spent.get(run.name, Cost(run.name, 0.0, 0, 0, 0)),)
    ]


def averages_of(rows: Rows) -> list[Average]:
    """Return the averages of scores, the most frequent first."""
    return [
        Average(str(row["name"]), _integer(row, "count_count"), float(row["avg_value"]))
        for row in rows
        if row.get("avg_value") is not None
    ]


def categories_of(rows: Rows) -> list[Category]:
    """Return the values of categorical scores with their shares, by name, the most frequent value first."""
    sums: dict[str, int] = defaultdict(int)
    for row in rows:
        sums[str(row["name"])] += _integer(row, "count_count")
    found = [
        Category(
            str(row["name"]),
            str(row.get("stringValue") or NONE),
            _integer(row, "count_count"),
            _integer(row, "count_count") / sums[str(row["name"])],
        )
        for row in rows
    ]
    return sorted(found, key=lambda one: (one.name, -one.count, one.value))


def days_of(span: Span, totals: Rows, by_model: Rows) -> list[Day]:
    """Return every day of a time with its cost, also those without any."""
    cost = {_day(row): _number(row, "sum_totalCost") for row in totals}
    models: dict[str, dict[str, float]] = defaultdict(dict)
    for row in by_model:
        if row.get("providedModelName") and _number(row, "sum_totalCost"):
            models[_day(row)][str(row["providedModelName"])] = _number(row, "sum_totalCost")
    return [Day(date, cost.get(date, 0.0), models.get(date, {})) for date in span.days]


def projection_of(days: Sequence[Day], now: datetime) -> Projection:
    """Return where costs lead. `days`: from the first of the month at the latest to today, oldest first."""
    complete = list(days[:-1])
    first = next((place for place, day in enumerate(complete) if day.cost > 0), len(complete))
    recent = complete[max(first, len(complete) - RATE_DAYS) :]
    month_to_date = sum(day.cost for day in days if day.date.startswith(f"{now:%Y-%m}"))
    passed = _share_of_day(now)
    if recent:
        daily = sum(day.cost for day in recent) / len(recent)
    elif days and days[-1].cost > 0 and passed >= FIRST_DAY_SHARE:
        daily = days[-1].cost / passed
    else:
        return Projection(None, 0, month_to_date, None, None, None)
    left = calendar.monthrange(now.year, now.month)[1] - now.day + 1 - passed
    return Projection(
        daily,
        len(recent),
        month_to_date,
        month_to_date + daily * left,
        daily * MONTH_DAYS,
        daily * YEAR_DAYS,
        estimated=not recent,
    )


def trends_of(rows: Rows, names: Sequence[str]) -> dict[str, list[Point]]:
    """Return the daily averages of each score, oldest first; days without any value have no point."""
    found: dict[str, list[Point]] = {name: [] for name in names}
    for row in sorted(rows, key=_day):
        if row.get("name") in found and _integer(row, "count_count") and row.get("avg_value") is not None:
            point = Point(_day(row), _integer(row, "count_count"), float(row["avg_value"]))
            found[str(row["name"])].append(point)
    return found


def _completed(groups: list[Cost], total: Rows, rest: str) -> list[Cost]:
    whole = _summed(TOTAL, [_cost(TOTAL, row) for row in total])
    named = _summed(rest, groups)
    left = Cost(
        rest,
        whole.cost - named.cost,
        whole.tokens - named.tokens,
        whole.input_tokens - named.input_tokens,
        whole.calls - named.calls,
    )
    groups = [group for group in groups if group.calls]
    return [*groups, *([left] if left.calls > 0 or left.cost > _NOTHING else []), whole]


def _cost(name: str, row: Mapping[str, Any]) -> Cost:
    return Cost(
        name,
        _number(row, "sum_totalCost"),
        _integer(row, "sum_totalTokens"),
        _integer(row, "sum_inputTokens"),
        _integer(row, "count_count"),
    )


def _summed(name: str, costs: Sequence[Cost]) -> Cost:
    return Cost(
        name,
        sum(one.cost for one in costs),
        sum(one.tokens for one in costs),
        sum(one.input_tokens for one in costs),
        sum(one.calls for one in costs),
    )


def _group(row: Mapping[str, Any], field: str) -> str:
    return str(row.get(field) or NONE) if field else TOTAL


def _day(row: Mapping[str, Any]) -> str:
    return str(row["time_dimension"])[:10]


def _share_of_day(now: datetime) -> float:
    return (now.hour * 3600 + now.minute * 60 + now.second) / 86_400


def _number(row: Mapping[str, Any], key: str) -> float:
    """Return a number that the server may write as a text, or leave out."""
    return float(row.get(key) or 0)


def _integer(row: Mapping[str, Any], key: str) -> int:
    return round(_number(row, key))


def _seconds(milliseconds: Any) -> float | None:
    return None if milliseconds is None else float(milliseconds) / 1000
