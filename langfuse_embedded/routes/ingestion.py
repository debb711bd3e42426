"""The legacy batch of older SDKs: scores and logs, in `dual` mode traces and observations too.

Each event has an answer of its own.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response

from langfuse_embedded import ids
from langfuse_embedded.http.breath import taking_turns
from langfuse_embedded.http.call import Call, json_response
from langfuse_embedded.http.errors import InvalidData
from langfuse_embedded.http.operations import Access, ErrorStyle, Operation
from langfuse_embedded.http.schema import Anything, Array, Datetime, Object, Schema, String
from langfuse_embedded.legacy_events import OBSERVATION, TRACE
from langfuse_embedded.store.score_rows import Score

from .legacy_bodies import CREATED, TYPED, UPDATED
from .legacy_bodies import TRACE as TRACE_BODY
from .score_intake import BATCH_SCORE, configured, store

log = logging.getLogger(__name__)

_BODY_LIMIT = 4_718_592
_NO_ID = "unknown"
_SLICE = 100

_ENVELOPE: dict[str, Schema] = {
    "id": String(min=1, max=800, patterns=((r"^[^\r]*$", "ID cannot contain carriage returns"),)),
    "timestamp": Datetime(),
    "metadata": Anything(),
}
_BATCH = Object({"batch": Array(Anything()), "metadata": Anything()})


@dataclass(slots=True)
class _Intake:
    """What the events of a batch ask for. It is stored in one go, after all of them were looked at."""

    scores: list[Score | None] = field(default_factory=list)
    legacy: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


class EventType:
    """One type of event: the shape of the whole, what takes it in, and whether a public key may send it."""

    def __init__(
        self,
        body: Schema,
        take: Callable[[Call, _Intake, dict[str, Any]], None],
        *,
        for_public_keys: bool = False,
    ) -> None:
        self.take = take
        self.for_public_keys = for_public_keys
        self.envelope = Object({**_ENVELOPE, "body": body})


class InvalidBatch(InvalidData):
    """The body is no batch. This route lists its issues as texts."""

    def body(self) -> dict[str, Any]:
        """Return the message and the texts of the issues."""
        return {"message": self.message, "errors": [issue["message"] for issue in self.issues]}


class _Rejected(Exception):
    """An event that is not taken, as the answer shows it."""

    def __init__(self, status: int, message: str, error: str) -> None:
        super().__init__(error)
        self.status, self.message, self.error = status, message, error


def _take_score(call: Call, intake: _Intake, event: dict[str, Any]) -> None:
    body = event["body"]
    score_id = body.get("id") or ids.uuid4()
    intake.scores.append(configured(call, body, score_id=score_id, timestamp=event["timestamp"]))


def _take_log(call: Call, intake: _Intake, event: dict[str, Any]) -> None:
    log.info("log of an SDK in project %s: %s", call.project_id, json.dumps(event.get("body"))[:2000])


def _take_trace(call: Call, intake: _Intake, event: dict[str, Any]) -> None:
    intake.legacy.append((TRACE, _identified(event)))


def _take_observation(observation_type: str | None) -> Callable[[Call, _Intake, dict[str, Any]], None]:
    def take(call: Call, intake: _Intake, event: dict[str, Any]) -> None:
        body = _identified(event)
        if observation_type:
            body["type"] = observation_type
        intake.legacy.append((OBSERVATION, body))

    return take


def _identified(event: dict[str, Any]) -> dict[str, Any]:
    """Return the body with what the writer needs: an id, the time of the event, and no nulls."""
    body = {key: value for key, value in event["body"].items() if value is not None}
    return {**body, "id": body.get("id") or ids.uuid4(), "eventTime": event["timestamp"]}


SCORES_AND_LOGS = {
    "score-create": EventType(BATCH_SCORE, _take_score, for_public_keys=True),
    "sdk-log": EventType(Anything(), _take_log, for_public_keys=True),
}
"""The types that a server in `events_only` mode takes."""

ALL_TYPES = {
    **SCORES_AND_LOGS,
    "trace-create": EventType(TRACE_BODY, _take_trace),
    **{
        name: EventType(body, _take_observation(observation_type))
        for name, (body, observation_type) in (CREATED | UPDATED).items()
    },
    **{name: EventType(body, _take_observation(None)) for name, body in TYPED.items()},
}
"""The types that a server in `dual` mode takes."""


async def ingest(call: Call) -> Response:
    """Take a batch of events. Each is answered with 201 or an error; the whole is always 207."""
    document = await call.json(Anything())
    try:
        batch = _BATCH.parse(document)["batch"]
    except InvalidData as error:
        raise InvalidBatch(error.issues) from None
    intake = _Intake()
    successes, errors = [], []
    async for event in taking_turns(batch):
        event_id = event.get("id") if isinstance(event, dict) else None
        shown_id = event_id if isinstance(event_id, str) else _NO_ID
        try:
            _take(call, intake, event)
        except _Rejected as why:
            errors.append({"id": shown_id, "status": why.status, "message": why.message, "error": why.error})
        else:
            successes.append({"id": shown_id, "status": 201})
    for begin in range(0, len(intake.legacy), _SLICE):
        # In slices: what others send is stored between them.
        arguments = {"project": call.project_id, "events": intake.legacy[begin : begin + _SLICE]}
        await call.engine.writer.submit("store_legacy", arguments)
    await store(call, intake.scores)
    return json_response({"successes": successes, "errors": errors}, 207)


def _take(call: Call, intake: _Intake, event: Any) -> None:
    kind = event.get("type") if isinstance(event, dict) else None
    events_only = call.engine.config.events_only
    event_type = (SCORES_AND_LOGS if events_only else ALL_TYPES).get(kind) if isinstance(kind, str) else None
    if event_type is None:
        if events_only:
            raise _Rejected(400, "Event type not accepted", _not_accepted(kind))
        raise _Rejected(400, "Invalid request data", "No matching discriminator")
    if call.principal.scores_only and not event_type.for_public_keys:
        raise _Rejected(401, "Authentication error", "Access Scope Denied")
    try:
        event_type.take(call, intake, event_type.envelope.parse(event))
    except InvalidData as error:
        raise _Rejected(400, "Invalid request data", json.dumps(error.issues, indent=2)) from None


def _not_accepted(kind: Any) -> str:
    name = kind if isinstance(kind, str) else "undefined"
    return (
        f'Event type "{name}" is not accepted by /api/public/ingestion when LANGFUSE_MIGRATION_V4_WRITE_MODE'
        " is events_only. This endpoint only accepts score and log events. Upgrade the client or integration"
        " to a v4-compatible SDK or OTLP ingestion path. As a temporary migration bridge, set"
        " LANGFUSE_MIGRATION_V4_WRITE_MODE=dual on both the web and worker services and redeploy. Docs:"
        " https://langfuse.com/self-hosting/upgrade/upgrade-guides/upgrade-v3-to-v4"
    )


OPERATIONS = [
    Operation(
        "POST",
        "/api/public/ingestion",
        ingest,
        "ingestion_batch",
        Access.SCORES,
        errors=ErrorStyle.NAMED,
        body_limit=_BODY_LIMIT,
    ),
]
