"""Conditions as PromQL, and the labels and texts that an alert carries."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
from .model import Alert
from .series import GROUP, PROJECT, Series, sample_count, series_of

_MARGIN = {"+": 1, "-": 1, "*": 2, "/": 2}
_ATOM = 3


@dataclass(frozen=True, slots=True)
class Translator:
    """Writes one alert for some projects, whose variables have the given values.

    Attributes:
        projects: matched ones; empty: all.
        excluded: projects that have values of their own, and rules of their own.
    """

    alert: Alert
    variables: Mapping[str, float]
    projects: Sequence[str] = ()
    excluded: Sequence[str] = ()

    def condition(self) -> str:
        """Return the expression that has a value for each project and group that must fire."""
        text = self._condition(self.alert.condition)
        if self.alert.min_samples < 1:
            return text
        wrapped = f"({text})" if isinstance(self.alert.condition, Logic) else text
        return f"{wrapped} and {self.selector(sample_count(self.alert))} >= {self.alert.min_samples}"

    def samples(self) -> str:
        """Return the expression of how many values the metric has."""
        return self.selector(sample_count(self.alert))

    def selector(self, series: Series) -> str:
        """Return the expression of a series: one value for each project and group."""
        # `max by` takes off the labels of the exporter's instance, so that two exporters do not alert twice.
        return f"max by ({PROJECT}, {GROUP}) ({self.instant(series)})"

    def instant(self, series: Series) -> str:
        """Return the bare selector of a series."""
        matchers = [f"{name}={quoted(value)}" for name, value in series.labels().items()]
        if self.projects:
            matchers.append(f'{PROJECT}=~"{"|".join(self.projects)}"')
        if self.excluded:
            matchers.append(f'{PROJECT}!~"{"|".join(self.excluded)}"')
        return f"{series.family}{{{', '.join(matchers)}}}"

    def constant(self, node: Value) -> float | None:
        """Return the value of what needs no measuring, else None."""
        match node:
            case Number():
                return node.value
            case Variable():
                return self.variables[node.name]
            case Negative() | Absolute():
                inner = self.constant(node.operand)
                if inner is None:
                    return None
                return -inner if isinstance(node, Negative) else abs(inner)
            case Arithmetic():
                return self._constant_of(node)
            case Aggregate():
                return None

    def _constant_of(self, node: Arithmetic) -> float | None:
        left, right = self.constant(node.left), self.constant(node.right)
        if left is None or right is None:
            return None
        match node.operator:
            case "+":
                return left + right
            case "-":
                return left - right
            case "*":
                return left * right
            case _:
                return left / right if right else None

    def _condition(self, node: Condition) -> str:
        if isinstance(node, Comparison):
            return f"{self._value(node.left)[0]} {node.operator} {self._value(node.right)[0]}"
        sides = [self._condition(side) for side in (node.left, node.right)]
        if node.operator == "and":  # binds closer than `or`, in PromQL too
            sides = [
                f"({text})" if isinstance(side, Logic) and side.operator == "or" else text
                for text, side in zip(sides, (node.left, node.right), strict=True)
            ]
        return f" {node.operator} ".join(sides)

    def _value(self, node: Value) -> tuple[str, int]:
        """Return the text of a value and how closely its outermost operator binds."""
        constant = self.constant(node)
        if constant is not None:
            return number(constant), _ATOM if constant >= 0 else 0
        match node:
            case Aggregate():
                return self.selector(series_of(self.alert, node)), _ATOM
            case Negative():
                return f"-{self._bound(node.operand, _ATOM)}", 0
            case Absolute():
                return f"abs({self._value(node.operand)[0]})", _ATOM
            case Arithmetic():
                return self._arithmetic(node)
            case Number() | Variable():
                raise AssertionError(node)  # constants, answered above

    def _arithmetic(self, node: Arithmetic) -> tuple[str, int]:
        margin = _MARGIN[node.operator]
        left = self._bound(node.left, margin)
        right = self._bound(node.right, margin + 1)
        if node.operator == "/" and self.constant(node.right) is None:
            right = f"({self._value(node.right)[0]} != 0)"  # nothing to divide by is not data, not infinity
        return f"{left} {node.operator} {right}", margin

    def _bound(self, node: Value, least: int) -> str:
        text, margin = self._value(node)
        return text if margin >= least else f"({text})"


def quoted(text: str) -> str:
    """Return a text as PromQL writes it."""
    return json.dumps(text, ensure_ascii=False)


def number(value: float) -> str:
    """Return a number as people write it: 60, 0.05, 1200."""
    return f"{value:.10g}"
