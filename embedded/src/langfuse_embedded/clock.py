"""Times as the API writes and reads them: Unix milliseconds inside, ISO 8601 in UTC outside."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

# As zod's, but for the days of a month, which `fromisoformat` knows.
_DATETIME = re.compile(
    r"(\d{4})(-\d\d-\d\dT(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d))",
    re.ASCII,
)
_WRITTEN = re.compile(r"(\d{4}|[+-]\d{6})(-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)", re.ASCII)
_MS_IN_400_YEARS = 146_097 * 86_400_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTES: dict[int, str] = {}


def now_ms() -> int:
    """Return the current time in Unix milliseconds."""
    return time.time_ns() // 1_000_000


def iso(ms: int) -> str:
    """Return `2026-01-15T10:00:00.000Z` for Unix milliseconds.

    Lists hold hundreds of times from few minutes, so the part up to the minute is remembered.
    """
    minute, rest = divmod(ms, 60_000)
    prefix = _MINUTES.get(minute)
    if prefix is None:
        if len(_MINUTES) > 10_000:
            _MINUTES.clear()
        moment = time.gmtime(minute * 60)
        prefix = f"{_year(moment.tm_year)}{time.strftime('-%m-%dT%H:%M:', moment)}"
        _MINUTES[minute] = prefix
    return f"{prefix}{rest // 1000:02d}.{rest % 1000:03d}Z"


def _year(year: int) -> str:
    # What JavaScript writes for years that four digits cannot hold.
    return f"{year:04d}" if 0 <= year <= 9999 else f"{year:+07d}"


def iso_or_none(ms: int | None) -> str | None:
    """Return the ISO form, or ``None`` for ``None``."""
    return None if ms is None else iso(ms)


def parse_iso(text: str) -> int | None:
    """Return Unix milliseconds of an ISO datetime with offset, or ``None`` when it is not one.

    Seconds and their fraction may be missing, as the server's schema allows; digits beyond the millisecond
    are cut, not rounded.
    """
    written = _DATETIME.fullmatch(text)
    if written is None:
        return None
    # Python's dates begin with year 1.
    has_year_zero = written[1] == "0000"
    try:
        moment = datetime.fromisoformat(f"0400{written[2]}" if has_year_zero else text)
    except ValueError:
        return None
    delta = moment - _EPOCH
    ms = (delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000
    return ms - _MS_IN_400_YEARS if has_year_zero else ms


def read_iso(text: str) -> int | None:
    """Return Unix milliseconds of what `iso` has written, or ``None`` for another text.

    Unlike `parse_iso` it knows years before 1 and after 9999: nobody may ask for them, a span may have them.
    """
    written = _WRITTEN.fullmatch(text)
    if written is None:
        return parse_iso(text)
    # Days repeat every 400 years: the year is moved into the range of Python's dates.
    cycles, year = divmod(int(written[1]) - 2000, 400)
    moved = parse_iso(f"{2000 + year}{written[2]}")
    return None if moved is None else moved + cycles * _MS_IN_400_YEARS
