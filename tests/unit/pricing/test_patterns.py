"""PostgreSQL's regular expressions, read by Python."""

from __future__ import annotations

import pytest

from langfuse_embedded.pricing.patterns import BoundedPattern, InvalidPattern, compile_pattern


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("(?i)^(openai/)?(gpt-4o)$", "OpenAI/GPT-4o"),
        ("^hermes-[[:digit:]]+$", "hermes-12"),
        ("^[[:alpha:]_]+$", "hermes_x"),
        (r"\mzeus\M", "the zeus model"),
        (r"\yzeus\y", "zeus-2"),
        ("partial", "a partial name"),
        ("***=a+b", "xa+by"),
        ("(?q)a.b", "a.b"),
        ("***:(?i)ZEUS", "zeus"),
        ("a.b", "a\nb"),
    ],
)
def test_a_pattern_matches_what_the_server_would_match(pattern: str, name: str) -> None:
    assert compile_pattern(pattern).search(name)
    assert BoundedPattern.postgres(pattern).search(name)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("^hermes$", "Hermes"),
        ("^hermes$", " hermes"),
        ("^hermes-[[:digit:]]+$", "hermes-x"),
        (r"\mzeus\M", "zeus2"),
        ("(?q)a.b", "axb"),
        ("(?n)a.b", "a\nb"),
    ],
)
def test_a_pattern_passes_over_what_the_server_would_pass_over(pattern: str, name: str) -> None:
    assert compile_pattern(pattern).search(name) is None
    assert not BoundedPattern.postgres(pattern).search(name)


@pytest.mark.parametrize("pattern", ["(unclosed", "[", "*", "(?z)a", "[[:nope:]]", "a{2,1}"])
def test_a_broken_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidPattern):
        compile_pattern(pattern)
    with pytest.raises(InvalidPattern):
        BoundedPattern.postgres(pattern)


def test_a_pattern_that_explodes_is_given_up() -> None:
    with pytest.raises(TimeoutError):
        BoundedPattern.postgres(r"^(?:(?:a|a)+)+$").search("a" * 40 + "!!")
