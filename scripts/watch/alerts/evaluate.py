"""Evaluate alerts on values that were just read. Division by zero and absent statistics are "no data"."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from .expression import (
    Absolute,
    Aggregate,
    Arithmetic,
    Comparison,
    Condition,
    Logic,
    Negative,
    Number,
    Value,
    Variable,
)
from .model import Alert, NoData
from .series import Series, sample_count, series_of

Values = Mapping[Series, Mapping[str, float]]

_ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


class State(StrEnum):
    """What an alert says about one project and group."""

    OK = "ok"
    FIRING = "FIRING"
    TOO_FEW = "too few samples"
    NO_DATA = "no data"


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome for one project and group.

    Attributes:
        value: the left side of the comparison; None without data.
        threshold: its right side.
        samples: how many values the metric has.
    """

    alert: Alert
    project: str
    group: str
    state: State
    value: float | None
    threshold: float | None
    samples: float


def evaluate(alert: Alert, project: str, values: Values, variables: Mapping[str, float]) -> Iterator[Finding]:
    """Yield a finding for each group; nothing for a project that the alert does not watch."""
    if alert.projects and project not in alert.projects:
        return
    counts = values.get(sample_count(alert), {})
    for group in counts or {"": 0.0}:
        yield _finding(alert, project, group, counts.get(group, 0.0), values, variables)


@dataclass(frozen=True, slots=True)
class _Calculator:
    """Calculates for one alert and one group."""

    alert: Alert
    group: str
    values: Values
    variables: Mapping[str, float]

    def value(self, node: Value) -> float | None:
        match node:
            case Number():
                return node.value
            case Variable():
                return self.variables[node.name]
            case Aggregate():
                return self.values.get(series_of(self.alert, node), {}).get(self.group)
            case Negative():
                inner = self.value(node.operand)
                return None if inner is None else -inner
            case Absolute():
                inner = self.value(node.operand)
                return None if inner is None else abs(inner)
            case Arithmetic():
                return self._arithmetic(node)

    def _arithmetic(self, node: Arithmetic) -> float | None:
        left, right = self.value(node.left), self.value(node.right)
        if left is None or right is None or (node.operator == "/" and right == 0):
            return None
        return _ARITHMETIC[node.operator](left, right)

    def holds(self, node: Condition) -> bool:
        if isinstance(node, Logic):
            both = (self.holds(node.left), self.holds(node.right))
            return all(both) if node.operator == "and" else any(both)
        left, right = self.value(node.left), self.value(node.right)
        return left is not None and right is not None and _COMPARE[node.operator](left, right)


def _finding(
    alert: Alert, project: str, group: str, samples: float, values: Values, variables: Mapping[str, float]
) -> Finding:
    calculator = _Calculator(alert, group, values, variables)
    first = first_comparison(alert.condition)
    value, threshold = calculator.value(first.left), calculator.value(first.right)
    if samples < alert.min_samples:
        state = State.TOO_FEW if samples else State.NO_DATA
    elif calculator.holds(alert.condition):
        state = State.FIRING
    else:
        state = State.NO_DATA if value is None else State.OK
    if state is State.NO_DATA and alert.no_data is NoData.ALWAYS:
        state = State.FIRING
    return Finding(alert, project, group, state, value, threshold, samples)


def first_comparison(condition: Condition) -> Comparison:
    """Return the comparison whose sides a message shows as value and threshold."""
    while isinstance(condition, Logic):
        condition = condition.left
    return condition
