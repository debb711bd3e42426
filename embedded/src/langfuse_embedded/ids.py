"""Identifiers in the two shapes that the server hands out."""

from __future__ import annotations

import secrets
import time
import uuid
from itertools import count

_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
_COUNTER = count(secrets.randbelow(36**4))


def uuid4() -> str:
    """Return a random UUID (scores, score configs, comments)."""
    return str(uuid.uuid4())


def cuid() -> str:
    """Return an id of 25 characters that sorts by creation time: `c`, time, counter, random."""
    stamp = _base36(time.time_ns() // 1_000_000).rjust(8, "0")
    turn = _base36(next(_COUNTER) % 36**4).rjust(4, "0")
    return f"c{stamp}{turn}" + "".join(secrets.choice(_ALPHABET) for _ in range(12))


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, rest = divmod(number, 36)
        digits = _ALPHABET[rest] + digits
    return digits or "0"
