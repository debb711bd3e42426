"""The language of conditions: what it means, and where it says that something is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.watch.alerts.expression import (
    Absolute,
    Aggregate,
    Arithmetic,
    Comparison,
    Criterion,
    ExpressionError,
    Logic,
    Number,
    Variable,
    parse_condition,
)


def test_an_aggregate_is_compared_with_a_number() -> None:
    assert parse_condition("avg < 0.7") == Comparison("<", Aggregate("avg", "", None, 1), Number(0.7))


def test_abs_takes_a_value() -> None:
    inner = Arithmetic("-", Aggregate("avg", "", None, 5), Number(0.9))
    assert parse_condition("abs(avg - 0.9) > 0.05") == Comparison(">", Absolute(inner), Number(0.05))


def test_products_bind_closer_than_sums() -> None:
    expected = Arithmetic("+", Variable("a", 7), Arithmetic("*", Variable("b", 11), Number(2)))
    assert parse_condition("sum > a + b * 2") == Comparison(">", Aggregate("sum", "", None, 1), expected)


def test_and_binds_closer_than_or_and_parentheses_closest() -> None:
    assert isinstance(parse_condition("avg < 1 or avg > 2 and max > 3"), Logic)
    assert parse_condition("avg < 1 or avg > 2 and max > 3").operator == "or"
    assert parse_condition("(avg < 1 or avg > 2) and max > 3").operator == "and"


def test_parentheses_hold_values_too() -> None:
    condition = parse_condition("(avg + max) / 2 > 3")
    assert isinstance(condition, Comparison)
    assert isinstance(condition.left, Arithmetic)


@pytest.mark.parametrize(
    ("text", "value"),
    [("90%", 0.9), ("60 %", 0.6), ("800ms", 0.8), ("2min", 120), ("1h", 3600), ("1e3", 1000)],
)
def test_units(text: str, value: float) -> None:
    condition = parse_condition(f"avg > {text}")
    assert isinstance(condition, Comparison)
    assert condition.right == Number(pytest.approx(value))  # type: ignore[arg-type]


def test_a_share_counts_values_of_its_own_or_of_another_metric() -> None:
    condition = parse_condition('share(>= 90%) < 60% and share(gap_type == "producer") > 0.3')
    assert isinstance(condition, Logic)
    assert condition.left.left == Aggregate("share", "", Criterion(">=", 0.9), 1)  # type: ignore[union-attr]
    other = Aggregate("share", "gap_type", Criterion("==", "producer"), 25)
    assert condition.right.left == other  # type: ignore[union-attr]


def test_metrics_with_a_hyphen_stand_in_quotes() -> None:
    condition = parse_condition('avg("user-feedback") < 0')
    assert isinstance(condition, Comparison)
    assert condition.left == Aggregate("avg", "user-feedback", None, 1)


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("avg", 4, "expected a comparison"),
        ("avg < ", 7, "expected a number, a variable or an aggregate"),
        ("avg = 1", 5, "write '=='"),
        ("avg => 1", 5, "write '>='"),
        ("avg < 1 && max > 2", 9, "write 'and'"),
        ("0.5 < avg < 0.9", 11, "a second comparison; join two with 'and'"),
        ("avgg(x) > 1", 1, "avgg is not a function; did you mean avg?"),
        ("avg > 1 max", 9, "expected and, or, or the end, found 'max'"),
        ("abs(avg > 1", 9, "expected ')'"),
        ("share(0.9) < 1", 7, "expected the name of a metric, found '0.9'"),
        ('share(> "a") < 1', 7, "a text compares with == or !="),
        ("avg > $x", 7, "'$' has no meaning here"),
        ("__import__('os') > 1", 1, "__import__ is not a function"),
        ("", 1, "found the end"),
    ],
)
def test_a_fault_is_named_with_its_column(text: str, column: int, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_condition(text)
    assert caught.value.column == column
    assert message in caught.value.message


@given(st.text(alphabet="avgsum()<>=!+-*/%0123456789. \"'andorxyz,", max_size=40))
def test_any_text_is_read_or_refused_within_its_columns(text: str) -> None:
    refusals: list[ExpressionError] = []
    try:
        parse_condition(text)
    except ExpressionError as error:
        refusals.append(error)
    assert all(1 <= error.column <= len(text) + 1 for error in refusals)
