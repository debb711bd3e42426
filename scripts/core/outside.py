"""Make texts from outside harmless where they are shown: names, messages and values that a client may choose.

One function for each place that gives characters a meaning: a terminal, a cell of a spreadsheet, a message in
Slack, a label of Prometheus. HTML is escaped by Jinja.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata

LONGEST_LABEL = 200
"""Characters of a label: each of thousands of samples repeats it."""
# They move the cursor, hide text, turn its direction, or cannot be written at all (lone surrogates).
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# Between parts of an emoji and in Persian or Indic words it is part of the writing.
_JOINERS = frozenset("\u200c\u200d")
_FORMULA = re.compile(r"'*\s*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")


def printable(text: str, *, lines: bool = False) -> str:
    r"""Return a text that a terminal shows and does not obey: what would move it is written as `\x1b`.

    With `lines`, ends of lines and tabs stay.
    """
    if text.isascii() and text.isprintable():
        return text
    kept = _JOINERS | ({"\n", "\t"} if lines else set())
    return "".join(
        _written(one) if unicodedata.category(one) in _UNSAFE and one not in kept else one for one in text
    )


def csv_cell(text: str) -> str:
    """Return a text for a cell: one that a spreadsheet would run as a formula gets an apostrophe before it.

    `from_csv_cell` takes it away again.
    """
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def from_csv_cell(text: str) -> str:
    """Return the text that `csv_cell` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def label_value(text: str) -> str:
    """Return a text as the value of a Prometheus label: printable, and cut where it is long, with a hash."""
    shown = printable(text)
    if len(shown) <= LONGEST_LABEL:
        return shown
    mark = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{shown[: LONGEST_LABEL - len(mark) - 1]}…{mark}"


def _written(character: str) -> str:
    known = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}.get(character)
    # From 128 on as JSON has it, so that a document that is shown stays one.
    return known or (f"\\x{ord(character):02x}" if ord(character) < 128 else json.dumps(character)[1:-1])
