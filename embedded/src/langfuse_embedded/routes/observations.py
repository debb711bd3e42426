"""`GET v2/observations`: the way to read traces in `events_only` mode."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from langfuse_embedded.clock import iso
from langfuse_embedded.http.cursors import decode_cursor, encode_cursor
from langfuse_embedded.http.errors import InvalidRequest
from langfuse_embedded.http.filters import EVENT_CONDITIONS, Condition
from langfuse_embedded.http.json_answers import json_response, json_rows
from langfuse_embedded.http.queries import Cursor, conditions, known_texts, options, text, texts
from langfuse_embedded.http.schema import CoercedDate, Datetime, Enum, Literal, Number, Object, String, Union
from langfuse_embedded.pricing.model import Model
from langfuse_embedded.routes.shapes.observations import ALL_GROUPS, DEFAULT_GROUPS, ItemWriter
from langfuse_embedded.store.bodies import TooLarge
from langfuse_embedded.store.observation_columns import COLUMNS
from langfuse_embedded.store.observation_filters import FilterError, with_unmentioned
from langfuse_embedded.store.observation_query import ObservationQuery, Place, StoredObservation

from .call import Call
from .operations import Operation

TYPES = (
    "GENERATION",
    "SPAN",
    "EVENT",
    "AGENT",
    "TOOL",
    "CHAIN",
    "RETRIEVER",
    "EVALUATOR",
    "EMBEDDING",
    "GUARDRAIL",
)
LEVELS = ("DEBUG", "DEFAULT", "WARNING", "ERROR")
_PARSED_IO = (
    "parseIoAsJson=true is no longer supported on the v2 observations endpoint. Input/output fields are "
    "always returned as raw strings. Remove the parseIoAsJson parameter or set it to false."
)


_CURSOR = Object({"lastStartTimeTo": CoercedDate(), "lastTraceId": String(), "lastId": String()})
_QUERY = Object(
    {
        "fields": known_texts(*ALL_GROUPS, default=None, unknown_is_refused=False),
        "expandMetadata": texts(),
        "limit": Number(ge=0, le=1000, coerce=True).default(50),
        "cursor": Cursor(_CURSOR, decode_cursor).optional(),
        "parseIoAsJson": Union(Literal("true"), Literal("false"))
        .refine(lambda value: value != "true", _PARSED_IO)
        .optional(),
        "type": Enum(*TYPES).optional(),
        "name": text(),
        "userId": text(),
        "sessionId": text(),
        "level": Enum(*LEVELS).optional(),
        "traceId": text(),
        "version": text(),
        "parentObservationId": text(),
        "isRootObservation": Enum("true", "false").optional(),
        "environment": options(),
        "fromStartTime": Datetime().optional(),
        "toStartTime": Datetime().optional(),
        "filter": conditions(EVENT_CONDITIONS),
    }
)
# Of long texts that are read and written on the event loop: some milliseconds.
_MOST_BYTES = 2**20
# Parameters that compare texts with a column of the same name.
_EQUAL = ("name", "userId", "sessionId", "type", "traceId", "level", "version")


async def list_observations(call: Call) -> Response:
    """Return observations, newest first."""
    query = call.query(_QUERY)
    groups = frozenset(query.get("fields", DEFAULT_GROUPS))
    limit = int(query["limit"])
    wanted = ObservationQuery(
        project=call.engine.events.project_key(call.project_id),
        conditions=_conditions(query),
        limit=limit + 1,
        after=_place(query.get("cursor")),
        horizon=call.engine.events.horizon(),
        with_bodies=not groups.isdisjoint(("io", "metadata")),
    )
    if limit <= 0:
        return json_response({"data": [], "meta": {}})
    try:
        found, is_large = await _find(call, wanted)
    except FilterError as error:
        raise InvalidRequest(str(error)) from error
    page = found[:limit]
    writer = ItemWriter(call.project_id, groups, query.get("expandMetadata", ()), _models(call, groups, page))
    meta = {"cursor": _cursor(page[-1].place)} if len(found) > limit else {}

    if is_large:
        return await call.read(lambda: json_rows(map(writer.write, page), meta))
    return json_response({"data": [writer.write(observation) for observation in page], "meta": meta})


async def _find(call: Call, query: ObservationQuery) -> tuple[list[StoredObservation], bool]:
    """Return what a query finds, and whether that is too much to be written on the event loop."""
    events = call.engine.events
    if query.is_cheap:
        try:
            return events.observations.find(query, _MOST_BYTES), False
        except TooLarge:
            pass  # in a thread then

    def scan() -> list[StoredObservation]:
        with events.observations_in_thread() as observations:
            return observations.find(query)

    return await call.read(scan), True


def _models(call: Call, groups: frozenset[str], page: list[StoredObservation]) -> dict[str, Model]:
    if "model" not in groups:
        return {}
    used = {observation.row["model_id"] for observation in page} - {""}
    found = {model_id: call.engine.models.get(call.project_id, model_id) for model_id in used}
    return {model_id: model for model_id, model in found.items() if model}


def _conditions(query: dict[str, Any]) -> list[Condition]:
    """Return the conditions of `filter`, and of the parameters whose columns it does not mention."""
    return with_unmentioned(query.get("filter") or [], _plain(query), COLUMNS)


def _plain(query: dict[str, Any]) -> list[Condition]:
    found = [Condition(name, "string", "=", query[name]) for name in _EQUAL if name in query]
    if "parentObservationId" in query:
        found.append(Condition("parentObservationId", "string", "=", query["parentObservationId"]))
    if "isRootObservation" in query:
        found.append(Condition("isRootObservation", "boolean", "=", query["isRootObservation"] == "true"))
    if "environment" in query:
        found.append(Condition("environment", "stringOptions", "any of", query["environment"]))
    if "fromStartTime" in query:
        found.append(Condition("startTime", "datetime", ">=", query["fromStartTime"]))
    if "toStartTime" in query:
        found.append(Condition("startTime", "datetime", "<", query["toStartTime"]))
    return found


def _cursor(place: Place) -> str:
    return encode_cursor(
        {
            "lastStartTimeTo": iso(place.start_time),
            "lastTraceId": place.trace_id,
            "lastId": place.span_id,
        }
    )


def _place(cursor: dict[str, Any] | None) -> Place | None:
    if cursor is None:
        return None
    return Place(cursor["lastStartTimeTo"], cursor["lastTraceId"], cursor["lastId"])


OPERATIONS = [
    Operation("GET", "/api/public/v2/observations", list_observations, "observations_getMany"),
]
