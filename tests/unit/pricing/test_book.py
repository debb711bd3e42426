"""The price book: whose model counts, what is remembered, what a client's own cost does."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from langfuse_embedded.pricing.book import PriceBook
from langfuse_embedded.pricing.cost import CompiledModel
from langfuse_embedded.pricing.cpu_budget import LONGEST_TEXT, BudgetSpent, CpuBudget
from langfuse_embedded.pricing.model import Model

from .builders import Generation, Source, model, tier, usage_above


def _book(source: Source) -> PriceBook:
    book = PriceBook(source)
    book.refresh()
    return book


def test_a_models_own_project_wins_over_the_built_in_list() -> None:
    builtin = model("hermes", model_id="builtin", project_id=None)
    source = Source(own={"acme": [model("^hermes-1$", model_id="own")]}, builtin=[builtin])
    book = _book(source)
    assert book.price("acme", Generation()).model_id == "own"
    assert book.price("kosmos", Generation()).model_id == "builtin"
    assert book.price("acme", Generation("zeus")).model_id == ""


def test_of_two_models_that_match_the_first_of_the_source_counts() -> None:
    source = Source(own={"acme": [model("hermes", model_id="newer"), model("hermes", model_id="older")]})
    assert _book(source).price("acme", Generation()).model_id == "newer"


def test_a_priced_generation_names_model_tier_and_cost() -> None:
    source = Source(own={"acme": [model("hermes", tier(prices={"input": 0.5}))]})
    priced = _book(source).price("acme", Generation(usage={"input": 3, "total": 3}))
    assert (priced.model_id, priced.tier_id, priced.tier_name) == ("own", "tier-Standard", "Standard")
    assert priced.cost == {"input": 1.5, "total": 1.5}


def test_a_cost_of_the_client_is_kept_beside_the_tier_that_would_have_priced_it() -> None:
    source = Source(own={"acme": [model("hermes")]})
    priced = _book(source).price("acme", Generation(usage={"input": 3}, cost={"input": 9.0}))
    assert (priced.model_id, priced.tier_name) == ("own", "Standard")
    assert priced.cost == {"input": 9.0, "total": 9.0}


def test_without_usage_the_model_is_known_and_nothing_costs() -> None:
    priced = _book(Source(own={"acme": [model("hermes")]})).price("acme", Generation())
    assert (priced.model_id, priced.tier_id, priced.cost) == ("own", None, {})


def test_absurd_units_cost_nothing_and_do_not_fail() -> None:
    priced = _book(Source(own={"acme": [model("hermes")]})).price(
        "acme", Generation(usage={"input": 10**400})
    )
    assert priced.cost == {}


def test_a_name_is_looked_up_once_until_a_model_changes() -> None:
    source = Source(own={"acme": [model("hermes", model_id="before")]})
    book = _book(source)
    for _ in range(3):
        book.refresh()
        assert book.price("acme", Generation()).model_id == "before"
    assert source.reads == 1
    source.own["acme"] = [model("hermes", model_id="after")]
    source.number += 1
    assert book.price("acme", Generation()).model_id == "before"
    book.refresh()
    assert book.price("acme", Generation()).model_id == "after"


def test_only_a_model_that_changed_is_compiled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []

    def compile_model(one: Model) -> CompiledModel:
        compiled.append(one.id)
        return CompiledModel(one)

    monkeypatch.setattr("langfuse_embedded.pricing.book.CompiledModel", compile_model)
    builtin = [model("zeus", model_id="builtin", project_id=None)]
    source = Source(own={"acme": [model("hermes", model_id="own")]}, builtin=builtin)
    book = _book(source)
    assert book.price("kosmos", Generation("zeus")).model_id == "builtin"
    assert book.price("acme", Generation()).model_id == "own"
    assert compiled == ["builtin", "own"]
    source.own["acme"] = [model("zeus", model_id="new"), *source.own["acme"]]
    source.number += 1
    book.refresh()
    assert book.price("kosmos", Generation("zeus")).model_id == "builtin"
    assert book.price("acme", Generation("zeus")).model_id == "new"
    assert compiled == ["builtin", "own", "new"]


def test_a_model_with_a_broken_pattern_is_passed_over_and_named_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    source = Source(own={"acme": [model("(", model_id="broken"), model("hermes")]})
    with caplog.at_level(logging.WARNING):
        assert _book(source).price("acme", Generation()).model_id == "own"
    assert "broken" in caplog.text


def test_a_pattern_that_explodes_holds_up_one_name_once(caplog: pytest.LogCaptureFixture) -> None:
    trap, plain = model(r"^(?:(?:a|a)+)+$", model_id="trap"), model("^a", model_id="plain")
    book = PriceBook(Source(own={"acme": [trap, plain]}))
    book.refresh()
    names = ["a" * length + "!!" for length in (40, 41, 42)]
    assert [book.price("acme", Generation(name)).model_id for name in names] == ["plain"] * 3
    assert caplog.text.count("its pattern takes too long") == 1


def test_many_patterns_that_explode_take_no_more_than_the_budget_at_once() -> None:
    traps = [model(rf"^(?:(?:a|a)+)+$|{number}", model_id=str(number)) for number in range(8)]
    book = PriceBook(Source(own={"acme": [*traps, model("^a", model_id="plain")]}))
    book.refresh()
    ended = 0
    while True:
        book.budget = CpuBudget(0.001)
        try:
            priced = book.price("acme", Generation("a" * 40 + "!!"))
        except BudgetSpent:
            ended += 1
        else:
            break
    # Each call goes on where the one before ended: a pattern that takes long is not tried again.
    assert 1 <= ended <= 3 * len(traps)
    assert priced.model_id == "plain"


def test_without_a_limit_the_same_patterns_are_all_tried() -> None:
    traps = [model(rf"^(?:(?:a|a)+)+$|{number}", model_id=str(number)) for number in range(3)]
    book = PriceBook(Source(own={"acme": [*traps, model("^a", model_id="plain")]}))
    book.refresh()
    assert book.price("acme", Generation("a" * 40 + "!!")).model_id == "plain"


def test_conditions_of_tiers_count_against_the_budget() -> None:
    tiers = [
        tier(f"t{number}", conditions=[usage_above(rf"^(?:(?:a|a)+)+$|{number}", 1)], priority=number)
        for number in range(1, 9)
    ]
    book = PriceBook(Source(own={"acme": [model("hermes", tier(), *tiers)]}))
    book.refresh()
    book.budget = CpuBudget(0.001)
    with pytest.raises(BudgetSpent):
        book.price("acme", Generation(usage={"a" * 40 + "!!": 5}))


def test_a_long_text_is_not_counted_while_others_wait() -> None:
    counted = replace(model("hermes"), tokenizer_id="claude")
    book = PriceBook(Source(own={"acme": [counted]}))
    book.refresh()
    long = Generation(usage={}, input="a" * (LONGEST_TEXT + 1), output="")
    book.budget = CpuBudget(60)
    with pytest.raises(BudgetSpent):
        book.price("acme", long)
    book.budget = None
    assert book.price("acme", long).usage["input"] > 0
