"""What a generation costs: choose a pricing tier, multiply usage by price, add up, cut to 12 decimals."""

from __future__ import annotations

import logging
import operator
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache, partial
from typing import Any

import orjson

from .cpu_budget import CpuBudget
from .model import Model, Tier
from .patterns import BoundedPattern, InvalidPattern, bounded_javascript
from .tokens import counter_of

log = logging.getLogger(__name__)

Attributes = Callable[[str], Mapping[str, Any]]
"""Returns the model parameters or the metadata of a generation, by the name of a condition's source."""

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "eq": operator.eq,
    "neq": operator.ne,
}
_Condition = Callable[[Mapping[str, int], Attributes, CpuBudget | None], bool]


class CompiledTier:
    """A pricing tier, ready to multiply with. `by_usage` tells that nothing but usage decides about it."""

    __slots__ = ("by_usage", "conditions", "id", "name", "prices")

    def __init__(self, tier: Tier) -> None:
        self.id = tier["id"]
        self.name = tier["name"]
        # Prices as fractions: int * int / int is rounded once, as the server's decimal arithmetic is.
        self.prices = {
            kind: Decimal(repr(price)).as_integer_ratio() for kind, price in tier["prices"].items()
        }
        self.conditions = [_compile(condition) for condition in tier["conditions"]]
        self.by_usage = all("usageDetailPattern" in condition for condition in tier["conditions"])

    def fits(self, usage: Mapping[str, int], attributes: Attributes, budget: CpuBudget | None = None) -> bool:
        """Return whether all conditions hold."""
        for condition in self.conditions:
            if budget is not None:
                budget.check()
            if not condition(usage, attributes, budget):
                return False
        return True


class CompiledModel:
    """A model with its tiers in the order in which they are tried."""

    __slots__ = ("_by_usage", "_conditional", "_default", "_reads_metadata", "counter", "id")

    def __init__(self, model: Model) -> None:
        self.id = model.id
        self.counter = counter_of(model)
        tiers = sorted(model.tiers, key=lambda tier: tier["priority"])
        self._conditional = [CompiledTier(tier) for tier in tiers if not tier["isDefault"]]
        self._by_usage = [tier for tier in self._conditional if tier.by_usage]
        self._default = next((CompiledTier(tier) for tier in tiers if tier["isDefault"]), None)
        self._reads_metadata = any(
            condition.get("source") == "metadata" for tier in tiers for condition in tier["conditions"]
        )

    def tier(
        self,
        usage: Mapping[str, int],
        parameters: str,
        metadata: Sequence[tuple[str, str]],
        budget: CpuBudget | None = None,
    ) -> CompiledTier | None:
        """Return the tier that prices this usage; nothing is priced without usage.

        `parameters` is a JSON object, encoded; of two equal names in `metadata` the first counts.
        """
        if not usage:
            return None
        if parameters == "{}" and not self._reads_metadata:
            # Nearly every generation: no parameters, so no tier that asks for one can fit.
            tiers, attributes = self._by_usage, _no_attributes
        else:
            tiers, attributes = self._conditional, partial(_attributes, parameters, metadata)
        for tier in tiers:
            if tier.fits(usage, attributes, budget):
                return tier
        return self._default


def _no_attributes(_source: str) -> Mapping[str, Any]:
    return {}


def _attributes(parameters: str, metadata: Sequence[tuple[str, str]], source: str) -> Mapping[str, Any]:
    if source == "metadata":
        return dict(reversed(metadata))
    try:
        document = orjson.loads(parameters)
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}


def cost_of(usage: Mapping[str, int], tier: CompiledTier) -> dict[str, float]:
    """Return the cost (USD) by usage kind with its `total`; kinds without a price cost nothing."""
    cost: dict[str, float] = {}
    total = 0.0
    prices = tier.prices
    for kind, units in usage.items():
        price = prices.get(kind)
        if price is not None:
            exact = units * price[0] / price[1]
            rounded = round(exact, 12)
            cost[kind] = rounded if rounded <= exact else cut(exact)
            total += exact
    if cost and "total" not in cost:
        cost["total"] = cut(total)
    return cost


def given_cost(cost: Mapping[str, float]) -> dict[str, float]:
    """Return a cost that the client gave; `total` is added only where input and output are all there is."""
    result = {kind: cut(value) for kind, value in cost.items()}
    if "total" not in cost and cost.keys() <= {"input", "output"}:
        result["total"] = cut(cost.get("input", 0) + cost.get("output", 0))
    return result


def cut(value: float) -> float:
    """Return `value` with the decimals after the 12th dropped, as the server's Decimal(18, 12) columns do."""
    rounded = round(value, 12)
    if rounded <= value:
        return rounded
    return round(rounded - 1e-12, 12)


def _compile(condition: Mapping[str, Any]) -> _Condition:
    if "usageDetailPattern" in condition:
        return _usage_condition(condition)
    source, key, values = condition["source"], condition["key"], frozenset(condition["values"])

    def attribute_fits(_usage: Mapping[str, int], attributes: Attributes, _budget: CpuBudget | None) -> bool:
        value = attributes(source).get(key)
        return isinstance(value, str) and value in values

    return attribute_fits


def _usage_condition(condition: Mapping[str, Any]) -> _Condition:
    text, any_case = condition["usageDetailPattern"], not condition.get("caseSensitive")
    compare, limit = _OPERATORS[condition["operator"]], condition["value"]
    known: dict[str, bool] = {}

    def usage_fits(usage: Mapping[str, int], _attributes: Attributes, budget: CpuBudget | None) -> bool:
        # Compiled when it is needed first: a model may have hundreds.
        pattern = _compiled(text, any_case=any_case)
        if pattern is None:
            return False
        units = 0
        for kind, count in usage.items():
            counts = known.get(kind)
            if counts is None:
                if budget is not None:
                    budget.check()
                if len(known) > 1000:
                    known.clear()
                counts = known[kind] = _matches(pattern, kind)
            if counts:
                units += count
        return compare(units, limit)

    return usage_fits


@lru_cache(maxsize=4096)
def _compiled(text: str, *, any_case: bool) -> BoundedPattern | None:
    try:
        return bounded_javascript(text, any_case=any_case)
    except InvalidPattern as error:
        # Stored by a version that took it.
        log.warning("the usageDetailPattern %.100r never matches: %s", text, error)
        return None


def _matches(pattern: BoundedPattern, kind: str) -> bool:
    try:
        return pattern.search(kind)
    except TimeoutError:
        log.warning("a usageDetailPattern is no longer matched: it takes too long")
        return False
