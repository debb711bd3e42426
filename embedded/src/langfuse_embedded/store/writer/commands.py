"""The commands that the writer knows: name -> function.

A command gets the context, the head of the request (its arguments) and the body as bytes, and returns what
goes back as JSON. It runs inside the transaction of its group; to turn down its input it raises `Refused`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from langfuse_embedded.otlp.event import Event

from . import legacy, observations, scores
from .context import OBSERVATION, SCORE, WriteContext
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


def _store_judgement(context: WriteContext, head: dict[str, Any], body: Payload) -> int:
    """Store `scores` of the head and the events of the body for `project`; return the number of scores.

    Ids follow from the judgement: one that is stored again replaces itself.
    """
    events = [
        Event(**{**fields, "metadata": [tuple(pair) for pair in fields["metadata"]]})
        for fields in orjson.loads(body)
    ]
    observations.store_events(context, head["project"], events)
    return scores.store_scores(context, head, b"")


def _reset_project(context: WriteContext, head: dict[str, Any], _body: Payload) -> int:
    """Delete all rows of `project`; return how many observations and scores there were."""
    project = context.project_key(head["project"])
    # A block holds spans of one trace, and so of one project.
    context.db.execute(
        "delete from blocks where id in (select block from observations where project = ?)", (project,)
    )
    count = 0
    for table, kind in (("observations", OBSERVATION), ("scores", SCORE)):
        rows = context.db.execute(
            f"delete from {table} where project = ? returning seq", (project,)
        ).fetchall()
        context.forget(kind, [row[0] for row in rows])
        count += len(rows)
    context.db.execute("delete from legacy_bodies where project = ?", (project,))
    return count


COMMANDS: dict[str, Command] = {
    **observations.COMMANDS,
    **scores.COMMANDS,
    **legacy.COMMANDS,
    REFUSE: _refuse,
    FAIL: _fail,
    PING: _ping,
    "probe": _probe,
    "store_judgement": _store_judgement,
    "reset_project": _reset_project,
}
