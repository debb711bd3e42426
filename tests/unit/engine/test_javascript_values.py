"""Values as JavaScript sees them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langfuse_embedded.javascript import values as js


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.0, "3"),
        (-0.0, "0"),
        (0.1, "0.1"),
        (1e16, "10000000000000000"),
        (1.5e20, "150000000000000000000"),
        (1e21, "1e+21"),
        (1.5e300, "1.5e+300"),
        (0.000001, "0.000001"),
        (1.5e-7, "1.5e-7"),
        (2**53 + 1, "9007199254740992"),
        (-(2**63), "-9223372036854776000"),
        (10**400, "Infinity"),
        (float("nan"), "NaN"),
        (float("-inf"), "-Infinity"),
    ],
)
def test_numbers_are_written_like_javascript_does(value: float, text: str) -> None:
    assert js.number_text(value) == text
    assert js.dumps([value]) == (f"[{text}]" if text[-1].isdigit() else "[null]")


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "null"), (True, "true"), (1.0, "1"), ([1, None, ["a"]], "1,,a"), ({"a": 1}, "[object Object]")],
)
def test_values_as_texts(value: Any, text: str) -> None:
    assert js.string(value) == text


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (" 12 ", 12),
        ("", 0),
        (None, 0),
        (True, 1),
        ("0x1F", 31),
        ("1e3", 1000),
        (".5", 0.5),
        ("Infinity", float("inf")),
        ("nan", None),
        ("1_000", None),
        ("12px", None),
        ([], 0),
        (["7"], 7),
        ([1, 2], None),
        ({}, None),
        (float("nan"), None),
        (2**53 + 1, float(2**53)),
        ("0x" + "f" * 400, float("inf")),
        ("9" * 400, float("inf")),
    ],
)
def test_texts_as_numbers(value: Any, number: float | None) -> None:
    assert js.number(value) == number


@pytest.mark.parametrize(
    ("value", "whole"),
    [("12px", 12), ("-7.9", -7), ("+3", 3), (2.9, 2), ("", None), ("x1", None), (None, None)],
)
def test_the_digits_at_the_start(value: Any, whole: int | None) -> None:
    assert js.whole_number(value) == whole


@pytest.mark.parametrize(("value", "is_true"), [("", False), (0, False), ("0", True), ([], True), ({}, True)])
def test_truth(value: Any, is_true: bool) -> None:
    assert js.truthy(value) is is_true


def test_slot_like_keys_are_listed_first() -> None:
    assert js.dumps({"b": 1, "10": 2, "2": 3, "02": 4}) == '{"2":3,"10":2,"b":1,"02":4}'


def test_json_texts_may_hold_lone_surrogates_and_huge_numbers() -> None:
    assert js.loads('"a\\ud800"') == "a\ufffd"
    assert js.loads("[1e999]") == [float("inf")]


@pytest.mark.parametrize("text", ["", "{", "NaN", "[NaN]", "{'a':1}", '"\\u12"', "[" * 300 + "]" * 300])
def test_other_texts_are_no_json(text: str) -> None:
    with pytest.raises(js.InvalidJson):
        js.loads(text)
    assert js.loads_or_none(text) is None


def test_values_nested_too_deeply_are_cut_when_written() -> None:
    value: Any = "end"
    for _ in range(500):
        value = [value]
    assert js.dumps(value) == "[" * js.MAX_DEPTH + "null" + "]" * js.MAX_DEPTH


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(_json)
def test_what_is_written_reads_back_as_the_same_doubles(value: Any) -> None:
    assert json.loads(js.dumps(value), parse_int=float) == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [("\ufeff7", 7), ("\u00a05\u2003", 5), ("\x1c5", None), ("\x855", None), ("\u200b5", None)],
)
def test_blanks_around_a_number_are_those_of_javascript(text: str, expected: float | None) -> None:
    assert js.number(text) == expected
    assert js.whole_number(text) == expected
