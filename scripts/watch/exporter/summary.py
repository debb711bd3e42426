"""The numbers of a project in the form that a status page or a JSON panel wants."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from scripts.watch.alerts.catalog import is_score, score_name
from scripts.watch.alerts.series import Series

Values = Mapping[Series, Mapping[str, float]]

_OF_AGENTS = {
    ("error_rate", "count"): "tasks",
    ("error_rate", "avg"): "error_rate",
    ("observation_latency", "p95"): "latency_p95_seconds",
    ("task_success", "avg"): "success_rate",
    ("quality", "avg"): "quality",
    ("llm_cost", "sum"): "cost_usd",
    ("tokens", "sum"): "tokens",
    ("input_tokens", "sum"): "input_tokens",
}
# What one number is of another, where both have the same window.
_RATIOS_OF_AGENTS = {
    "cost_usd_per_task": ("cost_usd", "tasks"),
    "input_tokens_share": ("input_tokens", "tokens"),
}


def summarize(project: str, values: Values) -> dict[str, Any]:
    """Return tasks, cost, quality and the breakdown by agent; each number with its window.

    A number that is not known is absent. Costs are USD, times are seconds, rates lie between 0 and 1.
    """
    return {
        "project": project,
        "tasks": _totals(values, "traces", "count"),
        "cost_usd": {
            **_totals(values, "llm_cost", "sum"),
            "by_model": _groups(values, "llm_cost", "sum", "model"),
        },
        "tokens": _totals(values, "tokens", "sum"),
        "latency_p95_seconds": _totals(values, "latency", "p95"),
        "error_rate": _totals(values, "error_rate", "avg"),
        "quality": _quality(values),
        "agents": _agents(values),
    }


def _totals(values: Values, metric: str, statistic: str) -> dict[str, float]:
    """Return the value of each window."""
    return {
        series.window.text: groups[""]
        for series, groups in values.items()
        if (series.metric, series.statistic) == (metric, statistic) and _plain(series) and "" in groups
    }


def _groups(values: Values, metric: str, statistic: str, group_by: str) -> dict[str, float]:
    """Return the value of each group, of the first such series."""
    for series, groups in values.items():
        if (series.metric, series.statistic, series.group_by) == (metric, statistic, group_by):
            return dict(groups)
    return {}


def _quality(values: Values) -> dict[str, dict[str, dict[str, float]]]:
    scores: dict[str, dict[str, dict[str, float]]] = defaultdict(dict)
    for series, groups in values.items():
        shown = series.statistic in ("avg", "count", "share")
        if is_score(series.metric) and shown and _whole(series) and "" in groups:
            key = series.statistic if series.test is None else f"share {series.test}"
            scores[score_name(series.metric)].setdefault(series.window.text, {})[key] = groups[""]
    measured = {
        name: {window: numbers for window, numbers in windows.items() if numbers.get("count")}
        for name, windows in scores.items()
    }
    return {name: windows for name, windows in measured.items() if windows}


def _agents(values: Values) -> list[dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    windows: dict[str, int] = {}
    for series, groups in values.items():
        column = _OF_AGENTS.get((series.metric, series.statistic))
        if column is None or series.group_by != "agent" or series.filters or series.excluded:
            continue
        reach = series.window.seconds
        if windows.get(column, 0) >= reach:
            continue
        windows[column] = reach  # the longest window tells most about an agent
        for group, value in groups.items():
            rows.setdefault(group, {"agent": group})[column] = value
    for name, (above, below) in _RATIOS_OF_AGENTS.items():
        if windows.get(above, 0) == windows.get(below):
            for row in rows.values():
                if above in row and row.get(below):
                    row[name] = row[above] / row[below]
    return sorted(rows.values(), key=lambda row: -row.get("tasks", 0))


def _plain(series: Series) -> bool:
    return _whole(series) and series.test is None


def _whole(series: Series) -> bool:
    """Whether it is about the whole project."""
    return not (series.group_by or series.filters or series.excluded)
