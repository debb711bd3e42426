"""config/costs.yaml: what is not metered."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.core.errors import UsageError
from scripts.watch.report.fixed import FixedCosts, load_fixed_costs
from scripts.watch.report.model import Cost, Fixed

SHIPPED = Path(__file__).resolve().parents[3] / "config" / "costs.yaml"


def test_the_shipped_file_adds_nothing() -> None:
    assert load_fixed_costs(SHIPPED, "costs.yaml").of("kosmos", []) == Fixed(0, 0)


def test_the_examples_of_the_shipped_file_are_understood(tmp_path: Path) -> None:
    path = tmp_path / "costs.yaml"
    text = SHIPPED.read_text().replace(": []", ":").replace("#  -", "  -")
    path.write_text(text)
    found = load_fixed_costs(path, "costs.yaml")
    assert (len(found.subscriptions), len(found.free_tiers)) == (1, 1)
    calls = [Cost("gemini-2.5-flash", 4.0, 4_000_000, 0, 9), Cost("gpt-4o", 7.0, 10, 0, 1)]
    assert found.of("kosmos", calls) == Fixed(60, 1.0)
    assert found.of("zeus", calls) == Fixed(0, 1.0)


def test_a_free_tier_covers_no_more_than_was_used(tmp_path: Path) -> None:
    path = tmp_path / "costs.yaml"
    path.write_text("free_tiers: [{model: m, tokens_per_month: 1000}]\n")
    assert load_fixed_costs(path, "x").of("zeus", [Cost("m", 2.0, 10, 0, 1)]) == Fixed(0, 2.0)
    assert load_fixed_costs(path, "x").of("zeus", [Cost("m", 0.0, 0, 0, 1)]) == Fixed(0, 0)


def test_without_the_file_nothing_is_added(tmp_path: Path) -> None:
    assert load_fixed_costs(tmp_path / "none.yaml", "none.yaml") == FixedCosts()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("subscriptions: [{name: a, usd_per_month: -1}]", "subscriptions.0.usd_per_month"),
        ("subscriptions: [{name: a, usd_per_month: .inf}]", "subscriptions.0.usd_per_month"),
        ("subscriptions: [{usd_per_month: 1}]", "subscriptions.0.name"),
        ("free_tiers: [{model: a, tokens_per_month: many}]", "free_tiers.0.tokens_per_month"),
        ("subscription: []", "subscription"),
        ("[]", "the file"),
    ],
)
def test_a_problem_is_named_with_its_place(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "costs.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"costs\.yaml cannot be used") as caught:
        load_fixed_costs(path, "costs.yaml")
    assert f"costs.yaml: {problem}: " in str(caught.value)
