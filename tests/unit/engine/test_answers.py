"""JSON answers are written as JavaScript writes them, whatever is in them."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langfuse_embedded.javascript.answers import dumps
from langfuse_embedded.javascript.values import number_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": 1.0}, '{"a":1}'),
        ([1.0, -2.0, 0.5, 3.0], "[1,-2,0.5,3]"),
        ([-0.0, 1e21, 1e16, 1.0], "[0,1e+21,10000000000000000,1]"),
        ({"text": '1.0, \\ "2.0}', "n": 2.0}, '{"text":"1.0, \\\\ \\"2.0}","n":2}'),
        (2**64, "18446744073709552000"),
        ([2**64 - 1, 5], "[18446744073709551615,5]"),
        ("\ud800", '"\ufffd"'),
        ({"\ud800": float("inf")}, '{"\ufffd":null}'),
    ],
)  # fmt: skip
def test_values_are_written_as_javascript_writes_them(value: Any, text: str) -> None:
    assert dumps(value).decode() == text


def test_what_nests_too_deeply_is_cut() -> None:
    value: Any = 1
    for _ in range(400):
        value = [value]
    assert dumps(value).decode() == "[" * 200 + "null" + "]" * 200


_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters())),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(), inner, max_size=4)),
)


@given(_json)
def test_anything_can_be_written_and_is_json(value: Any) -> None:
    json.loads(dumps(value))


def _written(value: Any) -> str:
    """Write a value as `JSON.stringify` does, part by part."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{_written(key)}:{_written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_written, value)) + "]"
    return number_text(value) if isinstance(value, float) else orjson.dumps(value).decode()


_confusing = st.text('"\\:,[]{}.01e-')
_like_numbers = st.recursive(
    st.one_of(
        _confusing,
        st.floats(allow_nan=False, allow_infinity=False),
        st.integers(-(2**53), 2**53).map(float),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=6), st.dictionaries(_confusing, inner, max_size=6)),
)


@given(st.lists(_like_numbers))
def test_numbers_are_told_from_texts_that_look_like_them(value: Any) -> None:
    assert dumps([1.0, value]).decode() == _written([1.0, value])
