"""What must fit together in an alert: metric and aggregate, metric and grouping, names and their meaning."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator

from .catalog import METRICS, find_metric, is_score
from .expression import Aggregate, aggregates, comparisons, variables
from .model import LONGEST_WINDOW_S, Alert, NoData, Observed, Window, duration_seconds

Fault = tuple[tuple[str, ...], int, str]
"""Path within the alert, column within the text there (0: none), what is wrong."""


def check_alert(
    alert: Alert, known_variables: Collection[str], known_actions: Collection[str]
) -> Iterator[Fault]:
    """Yield what does not fit."""
    for comparison in comparisons(alert.condition):
        if not any(aggregates(comparison.left)):
            yield ("condition",), 1, "what is measured stands left of the comparison, as in avg < 0.7"
    for aggregate in aggregates(alert.condition):
        for fault in _aggregate_faults(alert, aggregate):
            yield ("condition",), aggregate.column, fault
    for variable in variables(alert.condition):
        if variable.name not in known_variables:
            yield ("condition",), variable.column, unknown("variable", variable.name, known_variables)
    for action in alert.actions:
        if action not in known_actions:
            yield ("action",), 0, unknown("action", action, known_actions)
    if alert.group_by and alert.no_data is NoData.ALWAYS:
        yield ("no_data",), 0, "a group that was never seen cannot be missed; use alert or ignore"
    yield from ((("window",), 0, fault) for fault in _window_faults(alert.window))
    yield from ((path, 0, fault) for path, fault in _grouping_faults(alert))


def check_observed(observed: Observed) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield what does not fit."""
    metric = find_metric(observed.metric)
    for statistic in observed.statistics:
        if statistic == "share" or statistic not in ("count", *metric.statistics):
            known = ", ".join(name for name in ("count", *metric.statistics) if name != "share")
            yield ("statistics",), f"{observed.metric} has no {statistic}; known: {known}"
        if statistic == "projected" and not observed.window.calendar:
            yield ("window",), "projected needs the window day or month"
    for fault in _window_faults(observed.window):
        yield ("window",), fault
    if observed.group_by == "agent" and not _by_agent(observed.metric):
        yield ("group_by",), f"{observed.metric} is not known by agent"


def metric_of(alert: Alert, aggregate: Aggregate) -> str:
    """Return the metric that an aggregate is about."""
    return aggregate.metric or alert.metric


def _aggregate_faults(alert: Alert, aggregate: Aggregate) -> Iterator[str]:
    name = metric_of(alert, aggregate)
    categorical = aggregate.test is not None and isinstance(aggregate.test.value, str)
    metric = find_metric(name, categorical=categorical)
    allowed = ("count", *metric.statistics)
    if aggregate.function not in allowed:
        yield f"{name} has no {aggregate.function}; known: {', '.join(allowed)}"
    if aggregate.function == "projected" and not alert.window.calendar:
        yield "projected needs the window day or month"


def _grouping_faults(alert: Alert) -> Iterator[tuple[tuple[str, ...], str]]:
    names = {metric_of(alert, aggregate) for aggregate in aggregates(alert.condition)} | {alert.metric}
    dimensions = {alert.group_by, *(key for key, _ in alert.filters)}
    for name in sorted(names):
        if "agent" in dimensions and not _by_agent(name):
            where = "group_by" if alert.group_by == "agent" else "filters"
            yield (where,), f"{name} is not known by agent; use trace_name"


def _by_agent(name: str) -> bool:
    return is_score(name) or METRICS[name].by_agent


def _window_faults(window: Window) -> Iterator[str]:
    if not window.calendar and duration_seconds(window.text) > LONGEST_WINDOW_S:
        yield "the longest window is 31d"


def unknown(kind: str, name: str, known: Collection[str]) -> str:
    """Return the fault that a name is not known, with what may have been meant."""
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"unknown {kind} {name}; did you mean {near[0]}?"
    return f"unknown {kind} {name}; known: {', '.join(sorted(known)) or 'none'}"
