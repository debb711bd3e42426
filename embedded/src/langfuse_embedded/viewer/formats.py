"""Numbers and times as people read them."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from langfuse_embedded.clock import now_ms

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOTHING = "—"


def duration(ms: float | None) -> str:
    """Return a duration of milliseconds: `0 ms`, `840 ms`, `1.24 s`, `2 m 03 s`, `1 h 02 m`, `3 d 04 h`."""
    if ms is None:
        return NOTHING
    if ms < 1000:
        return f"{ms:.0f} ms"
    if ms < 59_995:
        return f"{ms / 1000:.2f} s"
    seconds = round(ms / 1000)
    if seconds < 3600:
        return f"{seconds // 60} m {seconds % 60:02d} s"
    if seconds < 48 * 3600:
        return f"{seconds // 3600} h {seconds % 3600 // 60:02d} m"
    return f"{seconds // 86_400} d {seconds % 86_400 // 3600:02d} h"


def moment(ms: int | None) -> str:
    """Return `2026-01-15 10:00:00.123` in UTC for Unix milliseconds."""
    if ms is None:
        return NOTHING
    try:
        text = (_EPOCH + timedelta(milliseconds=ms)).isoformat(sep=" ", timespec="milliseconds")
    except OverflowError:
        return f"{ms} ms"
    return text.removesuffix("+00:00")


def ago(ms: int | None, now: int | None = None) -> str:
    """Return how long ago a moment was, in its largest unit: `12 s ago`, `3 min ago`, `5 h ago`, `2 d ago`.

    Empty for what is ahead, and for more than a year.
    """
    if ms is None:
        return ""
    seconds = ((now_ms() if now is None else now) - ms) // 1000
    if seconds < 0 or seconds >= 366 * 86_400:
        return ""
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit} ago"
    return f"{seconds} s ago"


def count(number: int | None) -> str:
    """Return a whole number with commas: `12,345`."""
    return NOTHING if number is None else f"{number:,}"


def usd(amount: float | None) -> str:
    """Return an amount of money with at least two digits that tell something: `$12.30`, `$0.00042`."""
    if not amount or math.isnan(amount):
        return NOTHING
    if abs(amount) >= 1:
        return f"${amount:,.2f}"
    if abs(amount) < 1e-8:
        return f"${amount:.1e}"
    digits = next(places for places in range(2, 12) if abs(amount) * 10**places >= 10)
    return f"${amount:.{digits}f}"


def one_line(text: str | None, length: int = 160) -> str:
    """Return the beginning of a text with runs of white space made one space."""
    if not text:
        return ""
    line = " ".join(text[: length * 4].split())
    return line if len(line) <= length else line[: length - 1] + "…"
