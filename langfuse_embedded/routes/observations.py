"""`GET v2/observations`: the way to read traces in `events_only` mode."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from langfuse_embedded.clock import iso, read_iso
from langfuse_embedded.http.call import Call, json_response
from langfuse_embedded.http.cursors import decode_cursor, encode_cursor
from langfuse_embedded.http.errors import InvalidRequest
from langfuse_embedded.http.filters import EVENT_CONDITIONS, Condition
from langfuse_embedded.http.json_text import JsonText
from langfuse_embedded.http.observation_items import DEFAULT_GROUPS, ItemWriter
from langfuse_embedded.http.operations import Operation
from langfuse_embedded.http.schema import Array, Datetime, Enum, Number, Object, Schema, String, Union
from langfuse_embedded.pricing.model import Model
from langfuse_embedded.store.observation_filters import FilterError
from langfuse_embedded.store.observation_query import ObservationQuery, Place, StoredObservation

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


def _text() -> Schema:
    return String().optional()


_QUERY = Object(
    {
        "fields": _text(),
        "expandMetadata": _text(),
        "limit": Number(le=1000, coerce=True).default(50),
        "cursor": _text(),
        "parseIoAsJson": _text().refine(lambda value: value != "true", _PARSED_IO),
        "name": _text(),
        "userId": _text(),
        "sessionId": _text(),
        "type": Enum(*TYPES).optional(),
        "traceId": _text(),
        "level": Enum(*LEVELS).optional(),
        "parentObservationId": _text(),
        "isRootObservation": Enum("true", "false").optional(),
        "environment": Union(Array(String()), String()).optional(),
        "fromStartTime": Datetime().optional(),
        "toStartTime": Datetime().optional(),
        "version": _text(),
        "filter": JsonText(EVENT_CONDITIONS, "filter", empty_is_absent=True).optional(),
    }
)
# Parameters that compare texts with a column of the same name.
_EQUAL = ("name", "userId", "sessionId", "type", "traceId", "level", "version")


async def list_observations(call: Call) -> Response:
    """Return observations, newest first."""
    query = call.query(_QUERY)
    groups = _groups(query.get("fields"))
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
        found = await _find(call, wanted)
    except FilterError as error:
        raise InvalidRequest(str(error)) from error
    page = found[:limit]
    writer = ItemWriter(
        call.project_id, groups, _names(query.get("expandMetadata")), _models(call, groups, page)
    )
    meta = {"cursor": _cursor(page[-1].place)} if len(found) > limit else {}
    return json_response({"data": [writer.write(observation) for observation in page], "meta": meta})


async def _find(call: Call, query: ObservationQuery) -> list[StoredObservation]:
    events = call.engine.events
    if query.is_cheap:
        return events.observations.find(query)

    def scan() -> list[StoredObservation]:
        with events.observations_in_thread() as observations:
            return observations.find(query)

    return await run_in_threadpool(scan)


def _models(call: Call, groups: frozenset[str], page: list[StoredObservation]) -> dict[str, Model]:
    if "model" not in groups:
        return {}
    used = {observation.row["model_id"] for observation in page} - {""}
    found = {model_id: call.engine.models.get(call.project_id, model_id) for model_id in used}
    return {model_id: model for model_id, model in found.items() if model}


def _groups(fields: str | None) -> frozenset[str]:
    return frozenset(_names(fields)) if fields else DEFAULT_GROUPS


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in text.split(",")] if text else []


def _conditions(query: dict[str, Any]) -> list[Condition]:
    """Return the conditions of `filter`, and of the parameters whose columns it does not mention."""
    given: list[Condition] = query.get("filter") or []
    mentioned = {condition.column for condition in given}
    return [*given, *(one for one in _plain(query) if one.column not in mentioned)]


def _plain(query: dict[str, Any]) -> list[Condition]:
    found = [Condition(name, "string", "=", query[name]) for name in _EQUAL if query.get(name)]
    if "parentObservationId" in query:
        found.append(Condition("parentObservationId", "string", "=", query["parentObservationId"]))
    if "isRootObservation" in query:
        found.append(Condition("isRootObservation", "boolean", "=", query["isRootObservation"] == "true"))
    if environment := query.get("environment"):
        names = environment if isinstance(environment, list) else environment.split(",")
        found.append(Condition("environment", "stringOptions", "any of", names))
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


def _place(cursor: str | None) -> Place | None:
    if not cursor:
        return None
    place = decode_cursor(cursor)
    moment, trace_id, span_id = (place.get(key) for key in ("lastStartTimeTo", "lastTraceId", "lastId"))
    start_time = read_iso(moment) if isinstance(moment, str) else None
    if start_time is None or not isinstance(trace_id, str) or not isinstance(span_id, str):
        raise InvalidRequest("Invalid cursor format")
    return Place(start_time, trace_id, span_id)


OPERATIONS = [
    Operation("GET", "/api/public/v2/observations", list_observations, "observations_getMany"),
]
