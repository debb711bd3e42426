"""Which patterns are refused as too costly: those that `safe-regex2` 5 calls unsafe."""

from __future__ import annotations

import pytest

from langfuse_embedded.javascript.patterns import is_safe


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "abc",
        "a+b*",
        "(a)(b+)",
        r"\(a+\)+",
        "[a+]*",
        "(?:a)+",
        "(?<name>a)+",
        "a+" * 25,
        "(a+)+?",
        "a{2,3}",
    ],
)
def test_a_pattern_without_nested_repetitions_is_safe(pattern: str) -> None:
    assert is_safe(pattern)


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+", "(a|b*)*", "((a)+)+", "(a{2})+", "(?:a?)*", "a+" * 26, "((a+)+?)*", "(?<=a)b", "(?<!a)b"],
)
def test_a_repetition_in_another_and_too_many_of_them_are_not(pattern: str) -> None:
    assert not is_safe(pattern)
