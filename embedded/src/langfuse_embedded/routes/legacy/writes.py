"""Single traces, spans, generations and events as the first SDKs sent them: `dual` mode stores them.

Each request is an event of the legacy batch that happens now.
"""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from langfuse_embedded import ids, updates
from langfuse_embedded.clock import now_ms
from langfuse_embedded.http.json_answers import json_response
from langfuse_embedded.http.schema import Schema
from langfuse_embedded.routes.call import Call
from langfuse_embedded.routes.operations import Handler, Operation
from langfuse_embedded.store.writer.legacy_events import OBSERVATION, RULES, TRACE

from .bodies import EVENT, GENERATION_PATCH, GENERATION_POST, SPAN_PATCH, SPAN_POST
from .bodies import TRACE as TRACE_BODY

# What the first SDKs called the input and the output of a generation, and the id of what they changed.
_NAMES = {"prompt": "input", "completion": "output", "spanId": "id", "generationId": "id"}


def _taker(kind: str, schema: Schema, observation_type: str | None = None) -> Handler:
    async def take(call: Call) -> Response:
        given = await call.json(schema)
        body = updates.said({_NAMES.get(key, key): value for key, value in given.items()}, RULES[kind])
        event: dict[str, Any] = {**body, "id": body.get("id") or ids.uuid4(), "eventTime": now_ms()}
        if observation_type:
            event["type"] = observation_type
        arguments = {"project": call.project_id, "sender": call.sender, "events": [(kind, event)]}
        await call.engine.writer.submit("store_legacy", arguments)
        return json_response({"id": event["id"]})

    return take


_TABLE = (
    ("POST", "traces", _taker(TRACE, TRACE_BODY)),
    ("POST", "spans", _taker(OBSERVATION, SPAN_POST, "SPAN")),
    ("PATCH", "spans", _taker(OBSERVATION, SPAN_PATCH, "SPAN")),
    ("POST", "generations", _taker(OBSERVATION, GENERATION_POST, "GENERATION")),
    ("PATCH", "generations", _taker(OBSERVATION, GENERATION_PATCH, "GENERATION")),
    ("POST", "events", _taker(OBSERVATION, EVENT, "EVENT")),
)

OPERATIONS = [
    Operation(method, f"/api/public/{path}", handler, legacy=True) for method, path, handler in _TABLE
]
