"""Say in the log which requests came and how they were answered: off, errors (400 and above), or all."""

from __future__ import annotations

import base64
import json
import logging
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from langfuse_embedded.config import ERRORS, OFF

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

LINES_A_SECOND = 20
"""A client that repeats its mistake in a loop must not fill the disk."""
_MOST = 200
_NOT_SHOWN = re.compile(r"[^\x20-\x7e]+")
# What watches the server asks these every second.
_OF_HEALTH = ("/api/public/health", "/api/public/ready")

log = logging.getLogger("langfuse_embedded.access")


class AccessLog:
    """Writes a line for each answered request of a mode; of too many, only their number."""

    def __init__(self, mode: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._mode = mode
        self._clock = clock
        self._second = 0
        self._lines = 0
        self._left_out = 0

    def note(self, request: Request, response: Response, seconds: float) -> None:
        """Write down a request, where the mode asks for it."""
        failed = response.status_code >= 400
        if self._mode == OFF or (self._mode == ERRORS and not failed):
            return
        if not failed and request.url.path in _OF_HEALTH:
            return
        second = int(self._clock())
        if second != self._second:
            if self._left_out:
                log.warning("%d more requests were not written down", self._left_out)
            self._second, self._lines, self._left_out = second, 0, 0
        self._lines += 1
        if self._lines > LINES_A_SECOND:
            self._left_out += 1
            return
        log.log(
            logging.WARNING if failed else logging.INFO,
            "%s %s -> %d in %.0f ms%s%s",
            printable(request.method),
            # Without the query: it may hold a signature.
            printable(request.url.path),
            response.status_code,
            seconds * 1000,
            f", key {key}" if (key := public_key(request)) else "",
            f": {said}" if failed and (said := message_of(response)) else "",
        )


def public_key(request: Request) -> str:
    """Return the public key that a request names, right or wrong; never its secret."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        text = base64.b64decode(encoded, validate=True).decode()
    except ValueError:  # not ASCII, not base64, not UTF-8
        return "unreadable"
    name = text.partition(":")[0]
    # Someone may have put the two in the wrong order.
    return printable(name) if name.startswith("pk-lf-") else "that begins otherwise than pk-lf-"


def message_of(response: Response) -> str:
    """Return what an answer in JSON says was wrong."""
    try:
        message = json.loads(bytes(response.body))["message"]
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
    return printable(str(message))


def printable(text: str) -> str:
    """Return a text of a client as one short line of the log."""
    return _NOT_SHOWN.sub("?", text)[:_MOST]
