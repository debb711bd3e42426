"""The validation library reports what the server's zod schemas report."""

from __future__ import annotations

from typing import Any

import pytest

from langfuse_embedded.http import schema as s
from langfuse_embedded.http.errors import InvalidData


def issues_of(schema: s.Schema, value: Any) -> list[tuple[list[str | int], str]]:
    with pytest.raises(InvalidData) as caught:
        schema.parse(value)
    return [(issue["path"], issue["message"]) for issue in caught.value.issues]


NAME = s.Object({"name": s.String(min=1)})


@pytest.mark.parametrize(
    ("value", "received"),
    [
        ({}, "undefined"),
        ({"name": None}, "null"),
        ({"name": 5}, "number"),
        ({"name": 5.5}, "number"),
        ({"name": True}, "boolean"),
        ({"name": ["x"]}, "array"),
        ({"name": {}}, "object"),
    ],
)
def test_a_wrong_type_names_what_was_received(value: Any, received: str) -> None:
    assert issues_of(NAME, value) == [(["name"], f"Invalid input: expected string, received {received}")]


def test_a_length_is_judged_whatever_has_it() -> None:
    # zod 4.3.6, `checks.ts`: the checks of a length look whether the value has one, not whether it is a text.
    text, entries = s.String(min=1, max=2), s.Array(s.String(), min=1, max=2)
    wrong = "Invalid input: expected {}, received {}"
    assert issues_of(text, []) == [
        ([], wrong.format("string", "array")),
        ([], "Too small: expected array to have >=1 items"),
    ]
    assert issues_of(entries, "abc") == [
        ([], wrong.format("array", "string")),
        ([], "Too big: expected string to have <=2 characters"),
    ]
    assert issues_of(text, 5) == [([], wrong.format("string", "number"))]


def test_the_length_of_a_text_is_that_of_javascript() -> None:
    assert s.String(max=2).parse("😀") == "😀"
    assert issues_of(s.String(max=2), "😀x") == [([], "Too big: expected string to have <=2 characters")]


@pytest.mark.parametrize(
    ("text", "received"), [("NaN", "NaN"), ("x", "NaN"), ("Infinity", "Infinity"), ("-1e309", "Infinity")]
)
def test_a_number_that_is_not_finite_is_named(text: str, received: str) -> None:
    with pytest.raises(InvalidData) as caught:
        s.Number(coerce=True).parse(text)
    assert [issue["received"] for issue in caught.value.issues] == [received]


def test_an_unsafe_integer_is_judged_by_its_limits_too() -> None:
    assert issues_of(s.Number(integer=True, le=100), 2**53) == [
        ([], "Too big: expected int to be <=9007199254740991"),
        ([], "Too big: expected number to be <=100"),
    ]
    assert issues_of(s.Number(integer=True, ge=0), -(2**53)) == [
        ([], "Too small: expected int to be >=-9007199254740991"),
        ([], "Too small: expected number to be >=0"),
    ]


def test_a_review_reports_everything_at_once() -> None:
    shape = s.Object({"a": s.Number()}).super_refine(lambda body: ["one", "two"] if body["a"] else [])
    assert shape.parse({"a": 0}) == {"a": 0}
    assert issues_of(shape, {"a": 1}) == [([], "one"), ([], "two")]
    assert issues_of(shape, {}) == [(["a"], "Invalid input: expected number, received undefined")]


def test_several_wrong_fields_are_all_reported() -> None:
    shape = s.Object({"a": s.String(), "b": s.Number(), "c": s.Boolean()})
    assert [path for path, _ in issues_of(shape, {})] == [["a"], ["b"], ["c"]]


def test_every_failed_check_of_one_text_is_reported() -> None:
    text = s.String(min=3, patterns=[("^[a-z]+$", "Only letters"), ("^x", "Starts with x")])
    assert [message for _, message in issues_of(text, "1")] == [
        "Too small: expected string to have >=3 characters",
        "Only letters",
        "Starts with x",
    ]


def test_an_absent_optional_key_stays_absent_and_a_null_one_is_kept() -> None:
    shape = s.Object({"a": s.String().optional(), "b": s.String().nullish(), "c": s.Number().default(7)})
    assert shape.parse({"b": None}) == {"b": None, "c": 7}


def test_an_optional_key_does_not_take_null() -> None:
    shape = s.Object({"a": s.String().optional()})
    assert issues_of(shape, {"a": None}) == [(["a"], "Invalid input: expected string, received null")]


def test_unknown_keys_are_dropped_kept_or_refused() -> None:
    value = {"name": "n", "x": 1, "y": 2}
    assert NAME.parse(value) == {"name": "n"}
    assert s.Object({"name": s.String()}, loose=True).parse(value) == value
    strict = s.Object({"name": s.String()}, strict=True)
    assert issues_of(strict, value) == [([], 'Unrecognized keys: "x", "y"')]


def test_a_refinement_waits_for_the_right_types_but_not_for_passing_checks() -> None:
    ordered = s.Object({"low": s.Number(ge=0), "high": s.Number()}).refine(
        lambda value: value["low"] < value["high"], "low must be below high", ["low"]
    )
    assert issues_of(ordered, {"low": "1", "high": 0}) == [
        (["low"], "Invalid input: expected number, received string")
    ]
    assert issues_of(ordered, {"low": -1, "high": -2}) == [
        (["low"], "Too small: expected number to be >=0"),
        (["low"], "low must be below high"),
    ]


def test_a_union_with_one_branch_of_the_right_type_reports_that_branch() -> None:
    union = s.Object({"v": s.Union(s.String(min=3), s.Number())})
    assert union.parse({"v": 4}) == {"v": 4}
    assert issues_of(union, {"v": "ab"}) == [(["v"], "Too small: expected string to have >=3 characters")]
    assert issues_of(union, {"v": None}) == [(["v"], "Invalid input")]


def test_a_tagged_union_reports_an_unknown_tag_at_the_tag() -> None:
    tagged = s.Tagged("type", {"n": s.Object({"type": s.Literal("n"), "v": s.Number()})})
    assert tagged.parse({"type": "n", "v": 1}) == {"type": "n", "v": 1}
    assert issues_of(tagged, {"type": "x"}) == [(["type"], "Invalid input")]
    assert issues_of(tagged, []) == [([], "Invalid input: expected object, received array")]


@pytest.mark.parametrize(
    ("text", "expected"), [("5", 5), (" 5 ", 5), ("", 0), ("1e3", 1000.0), ("-0.5", -0.5), ("0", 0)]
)
def test_a_coerced_number_reads_query_text(text: str, expected: float) -> None:
    assert s.Number(coerce=True).parse(text) == expected


@pytest.mark.parametrize("text", ["abc", "1_000", "nan", "5x", "--1", "1.2.3"])
def test_a_coerced_number_refuses_what_javascript_refuses(text: str) -> None:
    assert issues_of(s.Number(coerce=True), text) == [([], "Invalid input: expected number, received NaN")]


def test_bounds_word_their_kind() -> None:
    assert issues_of(s.Number(le=1000), 1001) == [([], "Too big: expected number to be <=1000")]
    assert issues_of(s.Number(gt=0), 0) == [([], "Too small: expected number to be >0")]
    assert issues_of(s.Array(s.String(), min=1), []) == [([], "Too small: expected array to have >=1 items")]


def test_items_of_lists_and_records_carry_their_path() -> None:
    shape = s.Object({"tags": s.Array(s.String()), "extra": s.Record(s.Number())})
    assert issues_of(shape, {"tags": ["a", 5], "extra": {"k": "v"}}) == [
        (["tags", 1], "Invalid input: expected string, received number"),
        (["extra", "k"], "Invalid input: expected number, received string"),
    ]


def test_a_datetime_becomes_milliseconds() -> None:
    assert s.Datetime().parse("2026-01-15T10:00:00.123456Z") == 1768471200123
    assert s.Datetime().parse("2026-01-15T11:00:00+01:00") == 1768471200000
    assert issues_of(s.Datetime(), "yesterday") == [([], "Invalid ISO datetime")]
    assert issues_of(s.Datetime(), "2026-02-30T00:00:00Z") == [([], "Invalid ISO datetime")]


def test_a_transform_sees_only_valid_values() -> None:
    split = s.String(min=1).transform(lambda text: text.split(","))
    assert split.parse("a,b") == ["a", "b"]
    assert issues_of(split, "") == [([], "Too small: expected string to have >=1 characters")]
