"""Dates are read as JavaScript reads them. Expectations were taken from V8 (Node.js 24, TZ=UTC)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langfuse_embedded.clock import iso
from langfuse_embedded.javascript.dates import milliseconds


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2026", "2026-01-01T00:00:00.000Z"),
        ("2026-01", "2026-01-01T00:00:00.000Z"),
        ("2026-01-15", "2026-01-15T00:00:00.000Z"),
        ("2026-02-30", "2026-03-02T00:00:00.000Z"),
        ("2026-1-5", "2026-01-05T00:00:00.000Z"),
        ("2026/01/15", "2026-01-15T00:00:00.000Z"),
        ("01/15/2026", "2026-01-15T00:00:00.000Z"),
        ("1", "2001-01-01T00:00:00.000Z"),
        ("15 Jan 2026", "2026-01-15T00:00:00.000Z"),
        ("January 15, 2026 10:00 PM", "2026-01-15T22:00:00.000Z"),
        ("Thu, 15 Jan 2026 10:00:00 GMT", "2026-01-15T10:00:00.000Z"),
        ("15 Jan 2026 10:00:00 +0200", "2026-01-15T08:00:00.000Z"),
        ("Thu Jan 15 2026 10:00:00 GMT+0100 (CET)", "2026-01-15T09:00:00.000Z"),
        ("Jan 15 2026 10:00 EST", "2026-01-15T15:00:00.000Z"),
        ("2026-01-15 10:00", "2026-01-15T10:00:00.000Z"),
        ("2026-01-15 10:00:00.5", "2026-01-15T10:00:00.500Z"),
        ("2026-01-15T10:00", "2026-01-15T10:00:00.000Z"),
        ("2026-01-15T10:00:00.123456Z", "2026-01-15T10:00:00.123Z"),
        ("2026-01-15T10:00:00+02:00", "2026-01-15T08:00:00.000Z"),
        ("2026-01-15T10:00:00+0200", "2026-01-15T08:00:00.000Z"),
        ("2026-01-15T24:00:00Z", "2026-01-16T00:00:00.000Z"),
        ("+002026-01-15T00:00:00Z", "2026-01-15T00:00:00.000Z"),
        ("-000001-01-01T00:00:00Z", "-000001-01-01T00:00:00.000Z"),
        ("+275760-09-13T00:00:00.000Z", "+275760-09-13T00:00:00.000Z"),
        (" 2026-01-15 ", "2026-01-15T00:00:00.000Z"),
        ("1768471200", None),
        (1768471200123.9, "2026-01-15T10:00:00.123Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (None, "1970-01-01T00:00:00.000Z"),
        (True, "1970-01-01T00:00:00.001Z"),
        (["2026-01-15"], "2026-01-15T00:00:00.000Z"),
        ("", None),
        ("x", None),
        ("2026-13-01", None),
        ("2026-01-32", None),
        ("2026-01-15T10", None),
        ("2026-01-15T10:60Z", None),
        ("2026-01-15T24:00:01Z", None),
        ("2026-01-15T10:00:00+2:00", None),
        ("2026-01-15T10:00:00ZZ", None),
        ("15 Jan 2026 nonsense", None),
        ("+275760-09-13T00:00:00.001Z", None),
        (8.64e15 + 1, None),
        (float("nan"), None),
        (float("inf"), None),
        ({}, None),
    ],
)
def test_a_date_is_what_javascript_makes_of_it(value: Any, moment: str | None) -> None:
    found = milliseconds(value)
    assert (None if found is None else iso(found)) == moment


@given(st.one_of(st.text(), st.text("0123456789-:+ TZ./janfebpm()"), st.integers(), st.floats()))
def test_anything_is_a_date_or_none(value: Any) -> None:
    found = milliseconds(value)
    assert found is None or abs(found) <= 8_640_000_000_000_000


@given(st.integers(-8_640_000_000_000_000, 8_640_000_000_000_000))
def test_what_is_written_is_read_again(moment: int) -> None:
    assert milliseconds(iso(moment)) == moment
