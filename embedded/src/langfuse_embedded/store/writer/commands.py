"""The commands that the writer knows: name -> function.

A command gets the context, the head of the request (its arguments) and the body as bytes, and returns what
goes back as JSON. It runs inside the transaction of its group; to turn down its input it raises `Refused`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import judgements, legacy, observations, reset, scores
from .context import WriteContext
from .errors import Failed, Refused, TooCostly
from .protocol import PING, Payload

Command = Callable[[WriteContext, dict[str, Any], Payload], Any]

REFUSE = "refuse"
FAIL = "fail"


def _refuse(_context: WriteContext, head: dict[str, Any], _body: Payload) -> Any:
    """Answer a request that was turned down before it came here."""
    raise TooCostly(head["message"]) if head.get("too_costly") else Refused(head["message"])


def _fail(_context: WriteContext, head: dict[str, Any], _body: Payload) -> Any:
    """Answer a request that failed before it came here."""
    raise Failed(head["message"])


def _ping(_context: WriteContext, _head: dict[str, Any], _body: Payload) -> Any:
    """Answer: that is all."""
    return "pong"


def _probe(context: WriteContext, _head: dict[str, Any], _body: Payload) -> Any:
    """Write something that changes nothing: whether the store takes it is the answer."""
    context.db.execute("update sequence set last = last")
    return "stored"


COMMANDS: dict[str, Command] = {
    **observations.COMMANDS,
    **scores.COMMANDS,
    **judgements.COMMANDS,
    **legacy.COMMANDS,
    **reset.COMMANDS,
    REFUSE: _refuse,
    FAIL: _fail,
    PING: _ping,
    "probe": _probe,
}
