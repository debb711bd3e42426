"""JSON answers are written as JavaScript writes them, whatever is in them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langfuse_embedded.javascript.answers import dumps


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
