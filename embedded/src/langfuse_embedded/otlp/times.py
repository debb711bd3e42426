"""Times as senders write them, in Unix milliseconds."""

from __future__ import annotations

import math
from typing import Any

from langfuse_embedded.javascript import dates
from langfuse_embedded.javascript.values import InvalidJson, first_present, loads, number

from .batch import Attributes

_MAX_DATE = 8_640_000_000_000_000
"""The last millisecond of a JavaScript date, and with a minus sign the first."""

_FIRST_CHUNK = ("ai.response.msToFirstChunk", "ai.stream.msToFirstChunk")


def milliseconds_of_nanos(value: Any) -> int | None:
    """Return the milliseconds of an OTLP/JSON time in nanoseconds; ``None`` when it is absent or no time.

    Texts may be decimal or, with their prefix, hexadecimal, octal or binary. An object holds the two halves
    of a 64-bit number.
    """
    if isinstance(value, str):
        nanos = _whole_nanos(value.strip())
    elif isinstance(value, dict):
        nanos = _joined_halves(value.get("high"), value.get("low"))
    elif isinstance(value, bool):
        nanos = None
    elif isinstance(value, (int, float)):
        return _in_range(float(value) / 1e6) if abs(value) < 1e300 else None
    else:
        nanos = None
    if nanos is None:
        return None
    milliseconds = abs(nanos) // 1_000_000
    return _in_range(milliseconds if nanos >= 0 else -milliseconds)


def _whole_nanos(text: str) -> int | None:
    digits = text[1:] if text[:1] in {"-", "+"} else text
    if digits.isascii() and digits.isdigit():
        return int(text) if len(digits) < 40 else None
    if text[:2].lower() in {"0x", "0o", "0b"} and len(text) < 200 and "_" not in text:
        try:
            return int(text, 0)
        except ValueError:
            return None
    return None


def _joined_halves(high: Any, low: Any) -> int | None:
    if not isinstance(high, (int, float)) or not isinstance(low, (int, float)):
        return None
    if float(high) != int(high) or abs(high) >= 2**53 or abs(low) >= 2**53:
        return None
    return int(high) << 32 | int(low) & 0xFFFFFFFF


def _in_range(milliseconds: float) -> int | None:
    return int(milliseconds) if abs(milliseconds) <= _MAX_DATE else None


def _encoded_date(text: str) -> int | None:
    """Return a date that is encoded as JSON once too often, as old SDKs do."""
    try:
        found = loads(text)
    except InvalidJson:
        return None
    return None if found is None else dates.milliseconds(found)


def completion_start_time(attributes: Attributes, start: int) -> int | None:
    """Return when the first token came: a date, else the Vercel AI SDK's milliseconds after the start."""
    value = attributes.get("langfuse.observation.completion_start_time")
    if value is not None:
        moment = dates.milliseconds(value)
        if moment is None and isinstance(value, str):
            moment = _encoded_date(value)
        if moment is not None:
            return moment
    delay = number(first_present(attributes, _FIRST_CHUNK) or 0)
    return _in_range(start + math.ceil(delay)) if delay and math.isfinite(delay) else None
