"""Writer command for the legacy batch of `dual` mode: merge what events say of an id, store the outcome."""

from __future__ import annotations

from typing import Any

import orjson

from .context import WriteContext
from .legacy_events import (
    OBSERVATION,
    TRACE,
    merged,
    observation_event,
    trace_event,
)
from .observations import remove_observations, store_events
from .protocol import Payload

_BODY = "select body from legacy_bodies where project = ? and kind = ? and id = ?"


def store_legacy(context: WriteContext, head: dict[str, Any], _body: Payload) -> int:
    """Take the `events` of `project` in order; each is `[kind, body]` with the ids set. Return how many.

    Observations and, when anything was said of their trace, all observations of that trace are stored anew:
    the trace's attributes stand on each.
    """
    project = context.project_key(head["project"])
    traces: set[str] = set()
    observations: dict[str, str] = {}
    for kind, body in head["events"]:
        if kind == TRACE:
            _merge(context, project, TRACE, body, body["id"])
            traces.add(body["id"])
        else:
            observations[body["id"]] = _merge_observation(context, project, body)
    events = [trace_event(_known(context, project, TRACE, trace_id) or {}) for trace_id in sorted(traces)]
    for trace_id in {*traces, *observations.values()}:
        trace = _known(context, project, TRACE, trace_id)
        bodies = _observations_of(context, project, trace_id)
        events += [
            observation_event(body, trace)
            for body in bodies
            if trace_id in traces or body["id"] in observations
        ]
    store_events(context, head["project"], events, context.sender_key(head.get("sender")))
    return len(head["events"])


def _merge_observation(context: WriteContext, project: int, body: dict[str, Any]) -> str:
    """Merge an observation and return its trace; without one it is a trace of its own."""
    known = _known(context, project, OBSERVATION, body["id"])
    if known is None and not body.get("traceId"):
        body = {**body, "traceId": body["id"]}
    elif known is not None and known["traceId"] == known["id"] and body.get("traceId"):
        # The trace became known after the first event.
        remove_observations(context, project, [(known["traceId"], known["id"])])
        known["traceId"] = body["traceId"]
        _save(context, project, OBSERVATION, known, known["traceId"])
    return _merge(context, project, OBSERVATION, body, body.get("traceId"))


def _merge(context: WriteContext, project: int, kind: str, body: dict[str, Any], trace_id: str | None) -> str:
    known = _known(context, project, kind, body["id"])
    whole = body if known is None else merged(kind, known, body)
    trace: str = trace_id if kind == TRACE and trace_id else whole["traceId"]
    _save(context, project, kind, whole, trace)
    return trace


def _save(context: WriteContext, project: int, kind: str, body: dict[str, Any], trace_id: str) -> None:
    context.db.execute(
        "insert or replace into legacy_bodies (project, kind, id, trace_id, body) values (?, ?, ?, ?, ?)",
        (project, kind, body["id"], trace_id, orjson.dumps(body).decode()),
    )


def _known(context: WriteContext, project: int, kind: str, body_id: str) -> dict[str, Any] | None:
    row = context.db.execute(_BODY, (project, kind, body_id)).fetchone()
    if row is None:
        return None
    body: dict[str, Any] = orjson.loads(row[0])
    return body


def _observations_of(context: WriteContext, project: int, trace_id: str) -> list[dict[str, Any]]:
    rows = context.db.execute(
        "select body from legacy_bodies where project = ? and trace_id = ? and kind = ?",
        (project, trace_id, OBSERVATION),
    ).fetchall()
    return [orjson.loads(row[0]) for row in rows]


COMMANDS = {"store_legacy": store_legacy}
