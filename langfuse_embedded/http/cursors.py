"""Cursors: where the next page of a list begins, as text that clients hand back unread."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import orjson

from .errors import InvalidRequest


def encode_cursor(place: dict[str, Any], *, urlsafe: bool = False) -> str:
    """Return a cursor: JSON in base64, as the server writes it."""
    text = orjson.dumps(place)
    if urlsafe:
        return base64.urlsafe_b64encode(text).decode().rstrip("=")
    return base64.b64encode(text).decode()


def decode_cursor(cursor: str) -> dict[str, Any]:
    """Return the place that a cursor stands for, from either alphabet.

    Raises:
        InvalidRequest: it is not a cursor.
    """
    plain = cursor.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        place = orjson.loads(base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True))
    except (binascii.Error, orjson.JSONDecodeError, ValueError):
        place = None
    if not isinstance(place, dict):
        raise InvalidRequest("Invalid cursor format")
    return place
