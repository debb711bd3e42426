"""Texts that a client chooses are shown, and obeyed by nothing: terminals, spreadsheets, Prometheus."""

from __future__ import annotations

import io
import json

import pytest

from scripts.core.console import Console
from scripts.core.errors import StackError
from scripts.core.outside import LONGEST_LABEL, csv_cell, from_csv_cell, label_value, printable

HOSTILE = (
    "\x1b]0;title\x07\x1b[2J\x1b[31mred \x9b31m \r overwritten\x08\x7f"
    " \u202egnitirw\u2066 \ufeff\u200b \u2028 \ud800 \U000e0041"
)
OBEYED = set("\x1b\x07\x08\r\x7f\x9b\u202e\u2066\ufeff\u200b\u2028\ud800\U000e0041")


class Terminal(io.StringIO):
    """Says that somebody looks at it."""

    def isatty(self) -> bool:
        return True


def everything_shown_of(text: str, screen: io.StringIO) -> str:
    """Return what every way to say something has written."""
    console = Console({"CI": "1", "TERM": "dumb"}, screen, screen)
    console.print(text)
    console.rows([(text, text)])
    console.note(text)
    console.warn(text)
    console.error(StackError(text, fix=text, details=[text]))
    console.table(["a", "b"], [[text, text]])
    console.styled(text, "green")
    with console.working(text), console.steps(text) as show:
        show({text: text})
    with console.progress(text, 3) as advance:
        advance()
    return screen.getvalue()


@pytest.mark.parametrize("screen", [io.StringIO(), Terminal()], ids=["file", "terminal"])
def test_no_text_reaches_a_terminal_as_a_command_whatever_way_it_is_said(screen: io.StringIO) -> None:
    shown = everything_shown_of(HOSTILE, screen)
    assert OBEYED & set(shown) <= ({"\x1b"} if isinstance(screen, Terminal) else set())
    assert "\x1b]0" not in shown
    assert "\x1b[2J" not in shown
    assert shown.count(r"\x1b]0;title\x07") >= 14


def test_a_name_with_line_ends_stays_in_its_cell_of_a_table() -> None:
    screen = io.StringIO()
    Console({}, screen, screen).table(["name", "state"], [["a\nerror: b", "c\nd"]])
    assert [line.rstrip() for line in screen.getvalue().splitlines()[1:]] == [r"a\nerror: b  c\nd"]


@pytest.mark.parametrize("text", ["plain", "größer 日本語", "👨‍👩‍👧", "می‌خواهم", "a\\b"])
def test_what_people_write_is_shown_as_it_is(text: str) -> None:
    assert printable(text) == text


def test_a_json_document_that_is_shown_is_still_one() -> None:
    document = {"name": HOSTILE.replace("\ud800", ""), "other": "a\nb\t"}
    text = json.dumps(document, ensure_ascii=False, indent=1)
    assert json.loads(printable(text.replace("\x7f", "\\u007f"), lines=True)) == document


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+cmd",
        "-2+3",
        "@SUM(A1)",
        "\tx",
        "\r=x",
        " =1+1",
        "'=1+1",
        "''=x",
        "\uff1d1+1",
        "=HYPERLINK(1)",
    ],
)
def test_what_a_spreadsheet_would_run_is_a_text_and_comes_back_as_it_was(text: str) -> None:
    cell = csv_cell(text)
    assert cell.startswith("'")
    assert cell != text
    assert from_csv_cell(cell) == text


@pytest.mark.parametrize("text", ["", "plain", "-5", "+1.5e-3", "'quoted'", "a=b", "'-5", "{}", "'"])
def test_other_cells_stay_as_they_are_and_come_back(text: str) -> None:
    assert from_csv_cell(csv_cell(text)) == text
    assert csv_cell(text) == text or text == "'-5"


def test_a_label_is_printable_and_bounded_and_two_long_ones_stay_two() -> None:
    long = ["model-" + "x" * 70_000 + end for end in "ab"]
    labels = [label_value(text) for text in long]
    assert len(set(labels)) == 2
    assert all(len(label) == LONGEST_LABEL for label in labels)
    assert label_value("gpt\x1b[2J") == r"gpt\x1b[2J"
    assert label_value("gpt-5") == "gpt-5"
