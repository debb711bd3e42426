"""The legacy batch of older SDKs: scores and logs, in `dual` mode traces and observations too.

Each event has an answer of its own.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from starlette.responses import Response

from langfuse_embedded import ids, updates
from langfuse_embedded.http.access import Access, ErrorStyle
from langfuse_embedded.http.errors import InvalidData
from langfuse_embedded.http.json_answers import json_response
from langfuse_embedded.http.schema import Anything, Array, Object, Schema, String, Tagged, json_value
from langfuse_embedded.routes.call import Call
from langfuse_embedded.routes.operations import Operation
from langfuse_embedded.routes.score_intake import BATCH_SCORE, configured, store
from langfuse_embedded.store.score_rows import Score
from langfuse_embedded.store.writer.legacy_events import OBSERVATION, RULES, TRACE

from .bodies import CREATED, ENVELOPE, FOR_INTERNAL_USE, TYPED, UPDATED, UPDATES
from .bodies import TRACE as TRACE_BODY

log = logging.getLogger(__name__)

_Item = TypeVar("_Item")

_BODY_LIMIT = 4_718_592
_NO_ID = "unknown"
_SLICE = 100
_TURN_SECONDS = 0.002
_INTERNAL_ONLY = "Dataset run item creation is only allowed for internal usage"
_LOG = Object({"log": json_value(), "id": String().nullish()}, loose=True)
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
        self.envelope = Object({**ENVELOPE, "body": body})


class InvalidBatch(InvalidData):
    """The body is not a batch. This route lists its issues as texts."""

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
    intake.legacy.append((TRACE, _identified(TRACE, event)))


def _take_observation(observation_type: str | None) -> Callable[[Call, _Intake, dict[str, Any]], None]:
    def take(call: Call, intake: _Intake, event: dict[str, Any]) -> None:
        body = _identified(OBSERVATION, event)
        if observation_type:
            body["type"] = observation_type
        intake.legacy.append((OBSERVATION, body))

    return take


def _identified(kind: str, event: dict[str, Any]) -> dict[str, Any]:
    """Return what a body says, with what the writer needs besides: an id and the time of the event."""
    body = updates.said(event["body"], RULES[kind])
    if kind == TRACE:
        # Left out it is not public again, as on the server.
        body["public"] = bool(body.get("public"))
    return {**body, "id": body.get("id") or ids.uuid4(), "eventTime": event["timestamp"]}


SCORES_AND_LOGS = {
    "score-create": EventType(BATCH_SCORE, _take_score, for_public_keys=True),
    "sdk-log": EventType(_LOG, _take_log, for_public_keys=True),
}
"""The types that a server in `events_only` mode takes."""


class _Internal(EventType):
    """A type that is known and refused: no client may send it."""

    def __init__(self, body: Schema) -> None:
        super().__init__(body, _take_log)
        self.envelope = self.envelope.refine(lambda _: False, _INTERNAL_ONLY)  # type: ignore[assignment]


ALL_TYPES = {
    **SCORES_AND_LOGS,
    "dataset-run-item-create": _Internal(FOR_INTERNAL_USE),
    "trace-create": EventType(TRACE_BODY, _take_trace),
    **{
        name: EventType(body, _take_observation(observation_type))
        for name, (body, observation_type) in (CREATED | UPDATED).items()
    },
    **{name: EventType(body, _take_observation(None)) for name, body in TYPED.items()},
}
"""The types that a server in `dual` mode takes."""


async def ingest(call: Call) -> Response:
    """Take a batch of events. Each is answered with 201 or an error; the whole is always 207.

    Events are taken in the order of their times, updates after all others. Logs have no answer.
    """
    document = await call.json(Anything())
    try:
        batch = _BATCH.parse(document)["batch"]
    except InvalidData as error:
        raise InvalidBatch(error.issues) from None
    accepted: list[tuple[bool, int, EventType, dict[str, Any]]] = []
    errors: dict[str, list[dict[str, Any]]] = {_INVALID: [], _FORBIDDEN: [], _NOT_ACCEPTED: []}
    async for event in _taking_turns(batch):
        try:
            kind, parsed = _parsed(call, event)
        except _Rejected as why:
            shown_id = event.get("id") if isinstance(event, dict) else None
            shown_id = shown_id if isinstance(shown_id, str) else _NO_ID
            errors[why.message].append(
                {"id": shown_id, "status": why.status, "message": why.message, "error": why.error}
            )
        else:
            accepted.append((event["type"] in UPDATES, parsed["timestamp"], kind, parsed))
    accepted.sort(key=lambda entry: entry[:2])
    await _store(call, accepted)
    successes = [
        {"id": parsed["id"], "status": 201} for _, _, kind, parsed in accepted if kind.take is not _take_log
    ]
    _log_refused(call, errors)
    in_order = [error for some in errors.values() for error in some]
    return json_response({"successes": successes, "errors": in_order}, 207)


async def _store(call: Call, accepted: list[tuple[bool, int, EventType, dict[str, Any]]]) -> None:
    intake = _Intake()
    # What is said of one id is merged in the order of time, whatever says it.
    in_order = sorted(accepted, key=lambda entry: (entry[1], entry[0]))
    async for _, _, kind, parsed in _taking_turns(in_order):
        kind.take(call, intake, parsed)
    for begin in range(0, len(intake.legacy), _SLICE):
        # In slices: what others send is stored between them.
        events = intake.legacy[begin : begin + _SLICE]
        arguments = {"project": call.project_id, "sender": call.sender, "events": events}
        await call.engine.writer.submit("store_legacy", arguments)
    await store(call, intake.scores)


def _log_refused(call: Call, errors: dict[str, list[dict[str, Any]]]) -> None:
    """Say in the log what was not taken: the client of a batch rarely shows the answer to anyone."""
    if refused := errors[_NOT_ACCEPTED]:
        log.warning(
            "Rejected %d event(s) of the legacy batch (POST /api/public/ingestion) of project %s, sent by %s:"
            " this engine runs in events_only mode. They are not stored. %s",
            len(refused),
            call.project_id,
            _sender(call),
            _REMEDY,
        )
    for error in (*errors[_INVALID], *errors[_FORBIDDEN]):
        log.warning(
            "Event %s of project %s, sent by %s, is not stored: %s: %s",
            error["id"],
            call.project_id,
            _sender(call),
            error["message"],
            " ".join(error["error"].split())[:500],
        )


def _sender(call: Call) -> str:
    """Return name and version of the SDK that sent a request, as far as it says so."""
    _, name, version = call.sender
    shown = "an unknown SDK" if name == "unknown" else f"SDK {name} {version}"[:100]
    return "".join(char for char in shown if char.isprintable())


def _parsed(call: Call, event: Any) -> tuple[EventType, dict[str, Any]]:
    """Return the type of an event and what it says.

    Raises:
        _Rejected: it is not taken.
    """
    kind = event.get("type") if isinstance(event, dict) else None
    events_only = call.engine.config.events_only
    event_type = (SCORES_AND_LOGS if events_only else ALL_TYPES).get(kind) if isinstance(kind, str) else None
    if event_type is None and events_only:
        raise _Rejected(400, _NOT_ACCEPTED, _not_accepted(kind))
    try:
        # What has no known type is refused with what it lacks.
        parsed = (event_type.envelope if event_type else Tagged("type", {})).parse(event)
    except InvalidData as error:
        raise _Rejected(400, _INVALID, error.text) from None
    if event_type and call.principal.scores_only and not event_type.for_public_keys:
        raise _Rejected(401, _FORBIDDEN, "Access Scope Denied")
    assert event_type is not None  # noqa: S101  without one nothing parses
    return event_type, parsed


_INVALID, _FORBIDDEN = "Invalid request data", "Authentication error"
_NOT_ACCEPTED = "Event type not accepted"
_REMEDY = (
    "Upgrade the client or integration to a v4-compatible SDK or OTLP ingestion path. As a temporary"
    " migration bridge, start the engine with LANGFUSE_MIGRATION_V4_WRITE_MODE=dual."
)


def _not_accepted(kind: Any) -> str:
    name = kind if isinstance(kind, str) and kind else "unknown"
    return (
        f'Event type "{name}" is not accepted by /api/public/ingestion when LANGFUSE_MIGRATION_V4_WRITE_MODE'
        " is events_only. This endpoint only accepts score and log events. Upgrade the client or integration"
        " to a v4-compatible SDK or OTLP ingestion path. As a temporary migration bridge, set"
        " LANGFUSE_MIGRATION_V4_WRITE_MODE=dual on both the web and worker services and redeploy. Docs:"
        " https://langfuse.com/self-hosting/upgrade/upgrade-guides/upgrade-v3-to-v4"
    )


async def _taking_turns(items: Iterable[_Item]) -> AsyncIterator[_Item]:
    """Yield the items; whenever handling them has taken a while, other requests go on first."""
    begin = time.perf_counter()
    for item in items:
        yield item
        if time.perf_counter() - begin > _TURN_SECONDS:
            await asyncio.sleep(0)
            begin = time.perf_counter()


OPERATIONS = [
    Operation(
        "POST",
        "/api/public/ingestion",
        ingest,
        "ingestion_batch",
        Access.SCORES,
        errors=ErrorStyle.CLASS_FIRST,
        body_limit=_BODY_LIMIT,
    ),
]
