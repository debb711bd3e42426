"""Times keep their meaning between the wire and the store."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langfuse_embedded.clock import iso, parse_iso, read_iso

YEAR_9999 = 253_402_300_799_999
LAST_OF_JAVASCRIPT = 8_640_000_000_000_000


@given(st.integers(min_value=0, max_value=YEAR_9999))
def test_what_is_written_is_read_back(ms: int) -> None:
    assert parse_iso(iso(ms)) == ms


@given(st.integers(min_value=0, max_value=YEAR_9999))
def test_the_text_is_what_the_standard_library_writes(ms: int) -> None:
    moment = datetime.fromtimestamp(ms // 1000, UTC).replace(microsecond=ms % 1000 * 1000)
    assert iso(ms) == moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def test_times_before_1970_count_backwards() -> None:
    assert iso(-1) == "1969-12-31T23:59:59.999Z"
    assert parse_iso("1969-12-31T23:59:59.999Z") == -1


@given(st.integers(min_value=-LAST_OF_JAVASCRIPT, max_value=LAST_OF_JAVASCRIPT))
def test_any_time_of_a_span_is_read_back(ms: int) -> None:
    assert read_iso(iso(ms)) == ms


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (LAST_OF_JAVASCRIPT, "+275760-09-13T00:00:00.000Z"),
        (-LAST_OF_JAVASCRIPT, "-271821-04-20T00:00:00.000Z"),
        (YEAR_9999 + 1, "+010000-01-01T00:00:00.000Z"),
        (-62_135_596_800_001, "0000-12-31T23:59:59.999Z"),
        (-62_167_219_200_001, "-000001-12-31T23:59:59.999Z"),
    ],
)
def test_years_beyond_four_digits_are_written_as_javascript_writes_them(ms: int, text: str) -> None:
    assert (iso(ms), read_iso(text)) == (text, ms)


@pytest.mark.parametrize("text", ["", "+275760", "2026-02-30T00:00:00.000Z", "+010001-02-29T00:00:00.000Z"])
def test_a_text_that_nobody_has_written_is_no_time(text: str) -> None:
    assert read_iso(text) is None


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("0000-01-01T00:00:00Z", -62_167_219_200_000),
        ("0000-02-29T23:59:59.9999Z", -62_162_035_200_001),
        ("9999-12-31T23:59:59-23:59", YEAR_9999 - 999 + 86_340_000),
        ("0001-01-01T00:00:00+23:59", -62_135_596_800_000 - 86_340_000),
    ],
)
def test_the_first_and_the_last_year_are_read(text: str, ms: int) -> None:
    assert parse_iso(text) == ms


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-15T24:00:00Z",
        "2026-01-15T23:59:60Z",
        "2026-01-15T10:60Z",
        "2026-01-15T10:00:00+24:00",
        "2026-01-15T10:00:00+01:60",
        "0000-02-30T00:00:00Z",
        "1900-02-29T00:00:00Z",
    ],
)
def test_a_time_that_no_clock_shows_is_refused(text: str) -> None:
    assert parse_iso(text) is None


@pytest.mark.parametrize(
    "text", ["", "2026-01-15", "2026-01-15T10:00:00", "2026-13-01T00:00:00Z", "2026-01-15 10:00:00Z", "x"]
)
def test_a_text_that_is_no_datetime_with_offset_is_refused(text: str) -> None:
    assert parse_iso(text) is None
