"""Times as the API writes and reads them: Unix milliseconds inside, ISO 8601 in UTC outside."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

_DATETIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
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
        prefix = time.strftime("%Y-%m-%dT%H:%M:", time.gmtime(minute * 60))
        # strftime does not pad years below 1000.
        prefix = prefix if len(prefix) == 17 else prefix.rjust(17, "0")
        _MINUTES[minute] = prefix
    return f"{prefix}{rest // 1000:02d}.{rest % 1000:03d}Z"


def iso_or_none(ms: int | None) -> str | None:
    """Return the ISO form, or ``None`` for ``None``."""
    return None if ms is None else iso(ms)


def parse_iso(text: str) -> int | None:
    """Return Unix milliseconds of an ISO datetime with offset, or ``None`` when it is not one.

    Seconds and their fraction may be missing, as the server's schema allows; digits beyond the millisecond
    are cut, not rounded.
    """
    if not _DATETIME.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    delta = moment - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000
