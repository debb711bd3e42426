"""The built-in models: the library's price list in the shape of the server."""

from __future__ import annotations

from datetime import date

import pytest

from langfuse_embedded.pricing.book import PriceBook
from langfuse_embedded.pricing.builtin import builtin_models, clause_pattern
from langfuse_embedded.pricing.model import Model, price_text
from langfuse_embedded.pricing.patterns import compile_pattern

from .builders import Generation, Source

TODAY = date(2026, 6, 1)


@pytest.fixture(scope="module")
def models() -> list[Model]:
    return builtin_models(TODAY)[0]


@pytest.fixture(scope="module")
def book(models: list[Model]) -> PriceBook:
    found = PriceBook(Source(builtin=models))
    found.refresh()
    return found


def _name(book: PriceBook, models: list[Model], model_name: str) -> str | None:
    found = book.price("acme", Generation(model_name)).model_id
    return next((model.name for model in models if model.id == found), None)


def test_every_model_has_an_id_of_its_own_a_pattern_and_one_default_tier(models: list[Model]) -> None:
    assert len(models) > 100
    assert len({model.id for model in models}) == len(models)
    for model in models:
        compile_pattern(model.match_pattern)
        assert [tier["priority"] for tier in model.tiers if tier["isDefault"]] == [0]
        assert model.default_prices
        assert len({tier["priority"] for tier in model.tiers}) == len(model.tiers)


def test_ids_stay_the_same_from_list_to_list(models: list[Model]) -> None:
    again = {model.name: model.id for model in builtin_models(date(2026, 7, 1))[0]}
    assert all(again[model.name] == model.id for model in models)


@pytest.mark.parametrize(
    ("spelled", "known_as"),
    [
        ("gpt-4o", "gpt-4o"),
        ("openai/GPT-4o-mini", "gpt-4o-mini"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("us.anthropic.claude-sonnet-4-20250514-v1:0", "claude-sonnet-4-0"),
        ("googleai/gemini-2.5-pro", "gemini-2.5-pro"),
        ("azure/gpt-4o-mini", None),
        ("gpt-4o ", None),
        ("mistral-large-latest", None),
        ("hermes-1", None),
    ],
)
def test_model_names_are_found_as_applications_spell_them(
    book: PriceBook, models: list[Model], spelled: str, known_as: str | None
) -> None:
    assert _name(book, models, spelled) == known_as


def test_a_known_model_has_its_list_price(book: PriceBook) -> None:
    usage = {"input": 1000, "output": 500, "total": 1500}
    cost = book.price("acme", Generation("gpt-4o-mini", usage)).cost
    assert cost == {"input": 0.00015, "output": 0.0003, "total": 0.00045}


def test_cached_input_is_cheaper_under_either_spelling(book: PriceBook) -> None:
    for kind in ("input_cached_tokens", "input_cache_read"):
        cost = book.price("acme", Generation("gpt-4o-mini", {kind: 1000})).cost
        assert cost == {kind: 0.000075, "total": 0.000075}


def test_a_large_context_has_a_tier_of_its_own(book: PriceBook) -> None:
    small = book.price("acme", Generation("gemini-2.5-pro", {"input": 200_000, "output": 10}))
    large = book.price(
        "acme", Generation("gemini-2.5-pro", {"input": 100_001, "input_cached_tokens": 100_000})
    )
    assert (small.tier_name, small.cost["input"]) == ("Standard", 0.25)
    assert (large.tier_name, large.cost["input"]) == ("Large Context", 0.2500025)


def test_fast_service_has_a_tier_once_it_is_sold() -> None:
    found, _ = builtin_models(date(2026, 11, 1))
    book = PriceBook(Source(builtin=found))
    book.refresh()
    usage = {"input": 1000, "output": 10}
    fast = book.price("acme", Generation("gpt-5.5", usage, model_parameters='{"service_tier":"fast"}'))
    plain = book.price("acme", Generation("gpt-5.5", usage))
    assert (fast.tier_name, fast.cost["input"]) == ("Fast mode", 0.0125)
    assert (plain.tier_name, plain.cost["input"]) == ("Standard", 0.005)


def test_embeddings_are_priced_by_their_total(models: list[Model]) -> None:
    embedding = next(model for model in models if model.name == "text-embedding-3-small")
    assert embedding.default_prices == {"total": 2e-8}


def test_prices_follow_the_day_and_the_next_change_is_known() -> None:
    before, change = builtin_models(date(2025, 6, 9))
    after, _ = builtin_models(date(2025, 6, 10))
    price = {
        day: next(model for model in found if model.name == "o3").default_prices["input"]
        for day, found in (("before", before), ("after", after))
    }
    assert price == {"before": 1e-5, "after": 2e-6}
    assert change is not None
    assert change == date(2025, 6, 10)


def test_an_unknown_kind_of_match_is_an_error_not_a_guess() -> None:
    with pytest.raises(ValueError, match="unknown match clause"):
        clause_pattern(object())


@pytest.mark.parametrize(
    ("price", "text"),
    [(2.5e-6, "0.0000025"), (1.5e-7, "1.5e-7"), (6e-7, "6e-7"), (1.0, "1"), (0.0, "0"), (1e-6, "0.000001")],
)
def test_prices_in_observations_are_written_as_the_server_writes_them(price: float, text: str) -> None:
    assert price_text(price) == text
