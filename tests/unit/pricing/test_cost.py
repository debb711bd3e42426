"""Costs: units times price, added up and cut as the server's columns cut them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langfuse_embedded.pricing.cost import CompiledModel, CompiledTier, cost_of, cut, given_cost

from .builders import model, tier, usage_above


def _tier_of(*tiers: dict, usage: dict[str, int], parameters: str = "{}", metadata: tuple = ()) -> str | None:
    found = CompiledModel(model("x", *tiers)).tier(usage, parameters, list(metadata))
    return found.name if found else None


def test_every_usage_kind_is_multiplied_with_the_price_of_its_own_name() -> None:
    compiled = CompiledTier(tier(prices={"input": 0.000003, "output": 0.000015}))
    cost = cost_of({"input": 1000, "output": 500, "thoughts": 9, "total": 1500}, compiled)
    assert cost == {"input": 0.003, "output": 0.0075, "total": 0.010499999999}


def test_a_price_for_the_total_is_the_total() -> None:
    compiled = CompiledTier(tier(prices={"total": 0.25, "input": 1}))
    assert cost_of({"input": 2, "total": 1500}, compiled) == {"input": 2, "total": 375}


def test_free_units_cost_zero_and_unknown_units_cost_nothing() -> None:
    assert cost_of({"input": 5}, CompiledTier(tier(prices={"input": 0}))) == {"input": 0, "total": 0}
    assert cost_of({"other": 5}, CompiledTier(tier(prices={"input": 1}))) == {}


def test_a_given_cost_gets_a_total_only_from_input_and_output() -> None:
    assert given_cost({"input": 0.5}) == {"input": 0.5, "total": 0.5}
    assert given_cost({"input": 0.5, "output": 0.25}) == {"input": 0.5, "output": 0.25, "total": 0.75}
    assert given_cost({"input": 0.5, "cache": 0.25}) == {"input": 0.5, "cache": 0.25}
    assert given_cost({"input": 0.5, "total": 9}) == {"input": 0.5, "total": 9}


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.010589999999999999, 0.010589999999), (0.6800025, 0.6800025), (1e-13, 0.0), (9876.54321, 9876.54321)],
)
def test_decimals_after_the_twelfth_are_cut_not_rounded(value: float, expected: float) -> None:
    assert cut(value) == expected


@given(st.floats(min_value=0, max_value=1e6))
def test_cutting_never_adds_and_takes_less_than_a_unit_of_the_twelfth_decimal(value: float) -> None:
    assert cut(value) <= value
    assert value - cut(value) < 1.001e-12 + value * 1e-15


def test_conditional_tiers_are_tried_by_priority_before_the_default() -> None:
    tiers = (
        tier(),
        tier("Late", conditions=[usage_above("input", 10)], priority=2),
        tier("Early", conditions=[usage_above("^input", 1000, "gte")], priority=1),
    )
    assert _tier_of(*tiers, usage={"input": 1000}) == "Early"
    assert _tier_of(*tiers, usage={"input": 999}) == "Late"
    assert _tier_of(*tiers, usage={"input": 10}) == "Standard"
    assert _tier_of(*tiers, usage={}) is None


def test_a_usage_condition_adds_up_all_matching_kinds_and_minds_case_when_told() -> None:
    loose = tier("Big", conditions=[usage_above("^input", 100)], priority=1)
    strict = tier("Big", conditions=[usage_above("^input", 100, case=True)], priority=1)
    usage = {"INPUT": 60, "input_cached_tokens": 60, "output": 500}
    assert _tier_of(tier(), loose, usage=usage) == "Big"
    assert _tier_of(tier(), strict, usage=usage) == "Standard"


@pytest.mark.parametrize(
    ("operator", "fits"),
    [("gt", False), ("gte", True), ("lt", False), ("lte", True), ("eq", True), ("neq", False)],
)
def test_each_operator_compares_as_it_says(operator: str, fits: bool) -> None:
    special = tier("Special", conditions=[usage_above("input", 5, operator)], priority=1)
    assert (_tier_of(tier(), special, usage={"input": 5}) == "Special") is fits


def test_all_conditions_of_a_tier_must_hold() -> None:
    both = tier("Both", conditions=[usage_above("output", 500), usage_above("input", 10, "lt")], priority=1)
    assert _tier_of(tier(), both, usage={"input": 5, "output": 501}) == "Both"
    assert _tier_of(tier(), both, usage={"input": 50, "output": 501}) == "Standard"


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ('{"service_tier":"fast"}', "Fast"),
        ('{"service_tier":"FAST"}', "Standard"),
        ('{"service_tier":5}', "Standard"),
        ('{"service_tier":null}', "Standard"),
        ("not json", "Standard"),
        ("[]", "Standard"),
        ("{}", "Standard"),
    ],
)
def test_a_model_parameter_selects_a_tier_by_its_exact_text(parameters: str, name: str) -> None:
    condition = {"source": "model_parameters", "key": "service_tier", "values": ["fast", "priority"]}
    fast = tier("Fast", conditions=[condition], priority=1)
    assert _tier_of(tier(), fast, usage={"input": 1}, parameters=parameters) == name


def test_metadata_selects_a_tier_and_the_first_of_two_equal_names_counts() -> None:
    condition = {"source": "metadata", "key": "plan", "values": ["gold"]}
    gold = tier("Gold", conditions=[condition], priority=1)
    assert _tier_of(tier(), gold, usage={"input": 1}, metadata=(("plan", "gold"), ("plan", "x"))) == "Gold"
    assert _tier_of(tier(), gold, usage={"input": 1}, metadata=(("plan", "x"),)) == "Standard"
