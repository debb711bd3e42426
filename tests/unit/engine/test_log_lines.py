"""The engine's log: texts of clients stay what they are, a part of one line."""

from __future__ import annotations

import logging

import pytest

from langfuse_embedded.log_lines import OneLine, printable

FORGED = "x\n2026-01-01 00:00:00 CRITICAL langfuse: forged"


def _line(message: str, *arguments: object, error: BaseException | None = None) -> str:
    info = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord("acme", logging.WARNING, "", 0, message, arguments, info)
    return OneLine("%(levelname)s %(message)s").format(record)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x1b[31mred\x07\x9b2J", r"\x1b[31mred\x07\x9b2J"),
        ("a\u2028b\u2029c\u202ed", r"a\u2028b\u2029c\u202ed"),
        ("\ud800", r"\ud800"),
        ("Zürich 東京", "Zürich 東京"),
    ],
)
def test_what_a_terminal_obeys_is_spelled_out(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert _line("%s", text) == f"WARNING {shown}"


def test_a_message_cannot_forge_a_second_record() -> None:
    assert _line("the score %s was refused", FORGED).count("\n") == 0


def test_a_traceback_keeps_its_lines_and_none_looks_like_a_record() -> None:
    lines = _line("it failed", error=ValueError(FORGED)).split("\n")
    assert lines[0] == "WARNING it failed"
    assert len(lines) > 1
    assert all(line.startswith("    ") for line in lines[1:])


def test_a_long_message_is_cut() -> None:
    line = _line("%s", "a" * 1_000_000)
    assert len(line) < 5_000
    assert line.endswith("(1000000 characters)")
