"""What must fit together in an alert: metric and aggregate, metric and grouping, names and their meaning."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator

from .catalog import METRICS, OBSERVATIONS, find_metric, is_array, is_score, score_name
from .expression import (
    Absolute,
    Aggregate,
    Arithmetic,
    Comparison,
    Condition,
    Logic,
    Negative,
    Value,
    aggregates,
    comparisons,
    variables,
)
from .model import LONGEST_WINDOW_S, Alert, NoData, Observed, Window, duration_seconds

Fault = tuple[tuple[str, ...], int, str]
"""Path within the alert, column within the text there (0: none), what is wrong."""


def check_alert(
    alert: Alert, known_variables: Collection[str], known_actions: Collection[str]
) -> Iterator[Fault]:
    """Yield what does not fit."""
    for comparison in comparisons(alert.condition):
        if not any(aggregates(comparison.left)):
            yield ("condition",), 1, "what is measured belongs left of the comparison, as in avg < 0.7"
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
    yield from ((("condition",), column, fault) for column, fault in _ratio_faults(alert))


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
    if observed.group_by == "agent" and not _groups_by_agent(observed.metric):
        yield ("group_by",), f"{observed.metric} is not known by agent"
    if is_array(observed.group_by):
        for statistic in observed.statistics:
            if not _adds_up(observed.metric, statistic):
                yield ("group_by",), _DOES_NOT_ADD_UP.format(statistic=statistic, metric=observed.metric)


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
    if is_array(alert.group_by) and not _adds_up(name, aggregate.function):
        yield _DOES_NOT_ADD_UP.format(statistic=aggregate.function, metric=name)


def _grouping_faults(alert: Alert) -> Iterator[tuple[tuple[str, ...], str]]:
    names = {metric_of(alert, aggregate) for aggregate in aggregates(alert.condition)} | {alert.metric}
    chosen = {key for key, _ in (*alert.filters, *alert.excluded)}
    for name in sorted(names):
        if alert.group_by == "agent" and not _groups_by_agent(name):
            yield ("group_by",), f"{name} is not known by agent; use trace_name"
        if "agent" in chosen and not _by_agent(name):
            yield ("filters",), f"{name} cannot be selected by agent; use group_by, or trace_name"


_DOES_NOT_ADD_UP = (
    "{statistic} of {metric} cannot be grouped by tag, as a trace has several tags; "
    "use trace_name, or filters with one tag"
)
# What selects traces, so that both sides of a ratio are about the same ones.
_SELECTS_TRACES = ("trace_name", "tag", "user", "release", "agent")


def _adds_up(name: str, statistic: str) -> bool:
    """Whether a tag's statistic follows from those of the combinations of tags, by which the API groups."""
    metric = find_metric(name)
    if metric.distinct:
        return False
    return (
        statistic in ("count", "sum", "min", "max", "projected", "share")
        or metric.numerator is not None
        or (statistic == "avg" and is_score(name))
    )


def _ratio_faults(alert: Alert) -> Iterator[tuple[int, str]]:
    """Yield ratios that divide what is measured on all traces by what is measured on some, or the reverse.

    The cost of a whole project divided by the successes of one feature says nothing about that feature.
    """
    chosen = {key for key, _ in alert.filters} | {alert.group_by.partition(":")[0]}
    if chosen.intersection(_SELECTS_TRACES):
        return
    for ratio in _ratios(alert.condition):
        sides = [
            {_traces_of(metric_of(alert, one)): one for one in aggregates(side)}
            for side in (ratio.left, ratio.right)
        ]
        if all(sides) and set(sides[0]) != set(sides[1]):
            column = next(iter(sides[0].values())).column
            named = [metric_of(alert, next(iter(side.values()))) for side in sides]
            fault = (
                f"{named[0]} and {named[1]} are about different traces; "
                "add filters with a trace_name or tag that selects the traces of both, or group_by"
            )
            yield column, fault


def _traces_of(name: str) -> str:
    """Return which traces a metric is about: all (empty), or those that have a score."""
    return score_name(name) if find_metric(name).view != OBSERVATIONS else ""


def _ratios(node: Condition | Value) -> Iterator[Arithmetic]:
    match node:
        case Arithmetic() | Comparison() | Logic():
            if isinstance(node, Arithmetic) and node.operator == "/":
                yield node
            yield from _ratios(node.left)
            yield from _ratios(node.right)
        case Negative() | Absolute():
            yield from _ratios(node.operand)


def _by_agent(name: str) -> bool:
    return is_score(name) or METRICS[name].by_agent


def _groups_by_agent(name: str) -> bool:
    return _by_agent(name) or METRICS[name].of_calls


def _window_faults(window: Window) -> Iterator[str]:
    if not window.calendar and duration_seconds(window.text) > LONGEST_WINDOW_S:
        yield "the longest window is 31d"


def unknown(kind: str, name: str, known: Collection[str]) -> str:
    """Return the fault that a name is not known, with what may have been meant."""
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"unknown {kind} {name}; did you mean {near[0]}?"
    return f"unknown {kind} {name}; known: {', '.join(sorted(known)) or 'none'}"
