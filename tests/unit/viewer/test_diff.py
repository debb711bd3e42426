"""Differences of texts are marked word by word, escaped, and given up where they would take too long."""

from __future__ import annotations

import pytest

from langfuse_embedded.viewer.diff import difference


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("", "", ""),
        ("same", "same", "same"),
        (
            "It arrives on Wednesday.",
            "It arrives on Friday.",
            "It arrives on <del>Wednesday</del><ins>Friday</ins>.",
        ),
        ("a", "", "<del>a</del>"),
        ("", "<b>", "<ins>&lt;b&gt;</ins>"),
        ("<i>x</i>", "<i>y</i>", "&lt;i&gt;<del>x</del><ins>y</ins>&lt;/i&gt;"),
    ],
)
def test_words_are_marked_and_escaped(before: str, after: str, expected: str) -> None:
    assert difference(before, after) == expected


def test_long_texts_are_compared_line_by_line_and_longer_ones_not_at_all() -> None:
    lines = [f"line {n} of a text\n" for n in range(1000)]
    changed = [*lines[:500], "another one\n", *lines[501:]]
    marked = difference("".join(lines), "".join(changed))
    assert marked is not None
    assert "<del>line 500 of a text\n</del><ins>another one\n</ins>" in marked
    assert difference("a b\n" * 5000, "b a\n" * 5000) is None
