"""Cursors: where the next page of a list begins, as text that clients hand back unread."""

from __future__ import annotations

import base64
import re
from typing import Any

import orjson

from langfuse_embedded.lenient_json import loads

from .errors import InvalidRequest

_FOREIGN = re.compile(r"[^A-Za-z0-9+/]")


def encode_cursor(place: dict[str, Any], *, urlsafe: bool = False) -> str:
    """Return a cursor: JSON in base64, as the server writes it."""
    text = orjson.dumps(place)
    if urlsafe:
        return base64.urlsafe_b64encode(text).decode().rstrip("=")
    return base64.b64encode(text).decode()


def decode_cursor(cursor: str) -> Any:
    """Return the document of a cursor in either alphabet; its shape is for the route to check.

    As on the server, what belongs to neither alphabet is passed over.

    Raises:
        InvalidRequest: there is no JSON in it.
    """
    plain = _FOREIGN.sub("", cursor.partition("=")[0].replace("-", "+").replace("_", "/"))
    # One digit more than whole bytes need says nothing.
    plain = plain[:-1] if len(plain) % 4 == 1 else plain
    try:
        return loads(base64.b64decode(plain + "=" * (-len(plain) % 4)))
    except ValueError:
        raise InvalidRequest("Invalid cursor format") from None
