"""Traces, observations and sessions of `dual` mode, which older clients read through."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from starlette.responses import Response

from langfuse_embedded.clock import iso
from langfuse_embedded.http.errors import InvalidRequest, NotFound
from langfuse_embedded.http.filters import CONDITIONS, Condition
from langfuse_embedded.http.json_answers import json_response, json_rows
from langfuse_embedded.http.pagination import PAGE_PARAMETERS, Page
from langfuse_embedded.http.queries import conditions, known_texts, options, ordering, text
from langfuse_embedded.http.schema import Datetime, Enum, Object
from langfuse_embedded.pricing.model import Model
from langfuse_embedded.routes.call import Call
from langfuse_embedded.routes.observations import LEVELS, TYPES
from langfuse_embedded.routes.operations import Operation
from langfuse_embedded.routes.shapes.scores import legacy_score
from langfuse_embedded.store.observation_columns import LEGACY_COLUMNS
from langfuse_embedded.store.observation_filters import FilterError, with_unmentioned
from langfuse_embedded.store.observation_query import ObservationQuery, StoredObservation
from langfuse_embedded.store.score_rows import StoredScore
from langfuse_embedded.store.scores import ScoreQuery, find_scores
from langfuse_embedded.store.traces import (
    FILTER_COLUMNS,
    ORDER_COLUMNS,
    SessionQuery,
    Trace,
    TraceQuery,
    find_sessions,
    find_trace,
    find_traces,
    observation_ids,
)

from .shapes import legacy_observation, legacy_trace

Result = TypeVar("Result")

_GROUPS = ("core", "io", "scores", "observations", "metrics")
_ALL = frozenset(_GROUPS)
# Scores of one trace that are shown with it, if they are not this much older.
_MANY = 1000
_SCORED_BEFORE_MS = 3_600_000


_FIELDS = known_texts(*_GROUPS, default=_GROUPS, unknown_is_refused=False).transform(
    # Where no group is known, all of them are meant.
    lambda fields: frozenset(fields) or _ALL
)
_TRACES = Object(
    {
        **PAGE_PARAMETERS,
        "userId": text(),
        "name": text(),
        "tags": options(),
        "environment": options(),
        "sessionId": text(),
        "version": text(),
        "release": text(),
        "fromTimestamp": Datetime().optional(),
        "toTimestamp": Datetime().optional(),
        "orderBy": ordering(),
        "fields": _FIELDS,
        "filter": conditions(CONDITIONS),
    }
)
_TRACE = Object({"fields": _FIELDS})
_OBSERVATIONS = Object(
    {
        **PAGE_PARAMETERS,
        "name": text(),
        "userId": text(),
        "type": Enum(*TYPES).optional(),
        "traceId": text(),
        "level": Enum(*LEVELS).optional(),
        "parentObservationId": text(),
        "environment": options(),
        "fromStartTime": Datetime().optional(),
        "toStartTime": Datetime().optional(),
        "version": text(),
        "filter": conditions(CONDITIONS),
    }
)
_SESSIONS = Object(
    {
        **PAGE_PARAMETERS,
        "fromTimestamp": Datetime().optional(),
        "toTimestamp": Datetime().optional(),
        "environment": options(),
    }
)


async def list_traces(call: Call) -> Response:
    """Return a page of traces, newest first unless asked otherwise."""
    query = call.query(_TRACES)
    page, fields = Page.of(query), query["fields"]
    order, descending = _order(query.get("orderBy"))
    project, horizon = _scope(call)
    wanted = TraceQuery(
        project, _trace_conditions(query), page.limit, page.offset, order, descending, horizon
    )

    of_scores = {"environment": query["environment"]} if "environment" in query else {}
    scores = ScoreQuery(
        project, _MANY, of_scores, since=query.get("fromTimestamp"), horizon=horizon, of_traces=True
    )

    def read(connection: sqlite3.Connection) -> tuple[list[dict[str, Any]], int]:
        traces, total = find_traces(connection, wanted)
        return [_listed(call, connection, trace, fields, scores) for trace in traces], total

    data, total = await _read(call, read)
    return await call.read(lambda: json_rows(data, page.meta(total)))


async def get_trace(call: Call) -> Response:
    """Return a trace with its observations and scores."""
    fields = call.query(_TRACE)["fields"]
    trace_id = call.params["traceId"]
    project, horizon = _scope(call)

    def read(connection: sqlite3.Connection) -> tuple[Trace, list[StoredScore]] | None:
        trace = find_trace(connection, project, trace_id, horizon)
        if trace is None:
            return None
        since = trace.row["timestamp"] - _SCORED_BEFORE_MS
        scores = ScoreQuery(project, _MANY, since=since, horizon=horizon, of_traces=True)
        return trace, _scores(connection, scores, trace_id)

    found = await _read(call, read)
    if found is None:
        raise NotFound(f"Trace {trace_id} not found within authorized project")
    trace, scores = found
    item = _shown(call, trace, fields)
    item["scores"] = (
        [legacy_score(call.project_id, score, only_trace_targets=True) for score in scores]
        if "scores" in fields
        else []
    )
    stored: list[StoredObservation] = []
    if "observations" in fields:

        def read_observations() -> list[StoredObservation]:
            with call.engine.events.observations_in_thread() as observations:
                return observations.trace(project, trace_id, horizon=horizon)

        stored = await call.read(read_observations)
    models = _models(call, stored)

    def answer() -> Response:
        item["observations"] = [
            legacy_observation(call.project_id, one, models.get(one.row["model_id"]), unpriced=0)
            for one in reversed(stored)
            if not one.stands_for_trace
        ]
        return json_response(item)

    return await call.read(answer)


async def list_observations(call: Call) -> Response:
    """Return a page of observations, newest first."""
    query = call.query(_OBSERVATIONS)
    page = Page.of(query)
    project, horizon = _scope(call)
    wanted = ObservationQuery(
        project,
        _observation_conditions(query),
        page.limit,
        horizon=horizon,
        with_bodies=True,
        offset=page.offset,
        with_trace_roots=False,
        trace_user=query.get("userId"),
    )

    def read() -> tuple[list[StoredObservation], int]:
        with call.engine.events.observations_in_thread() as observations:
            return observations.find(wanted), observations.count(wanted)

    try:
        found, total = await call.read(read)
    except FilterError as error:
        raise InvalidRequest(str(error)) from error
    models = _models(call, found)

    def answer() -> Response:
        data = (legacy_observation(call.project_id, one, models.get(one.row["model_id"])) for one in found)
        return json_rows(data, page.meta(total))

    return await call.read(answer)


async def get_observation(call: Call) -> Response:
    """Return one observation."""
    observation_id = call.params["observationId"]
    project, horizon = _scope(call)

    def read() -> StoredObservation | None:
        with call.engine.events.observations_in_thread() as observations:
            return observations.one(project, observation_id, horizon=horizon)

    found = await call.read(read)
    if found is None:
        raise NotFound(f"Observation with id {observation_id} not found")
    models = _models(call, [found])
    return json_response(legacy_observation(call.project_id, found, models.get(found.row["model_id"])))


async def list_sessions(call: Call) -> Response:
    """Return a page of sessions, newest first."""
    query = call.query(_SESSIONS)
    page = Page.of(query)
    project, horizon = _scope(call)
    wanted = SessionQuery(
        project,
        page.limit,
        page.offset,
        since=query.get("fromTimestamp"),
        before=query.get("toTimestamp"),
        environments=query.get("environment", ()),
        horizon=horizon,
    )
    sessions, total = await _read(call, lambda connection: find_sessions(connection, wanted))
    return json_response(
        {"data": [_session(call, session) for session in sessions], "meta": page.meta(total)}
    )


async def get_session(call: Call) -> Response:
    """Return a session with its traces, oldest first."""
    session_id = call.params["sessionId"]
    project, horizon = _scope(call)
    of_session = Condition("sessionId", "string", "=", session_id)

    def read(connection: sqlite3.Connection) -> tuple[list[sqlite3.Row], list[Trace]]:
        sessions, _ = find_sessions(
            connection, SessionQuery(project, 1, session_id=session_id, horizon=horizon)
        )
        wanted = TraceQuery(project, [of_session], _MANY, descending=False, horizon=horizon)
        return sessions, find_traces(connection, wanted)[0] if sessions else []

    sessions, traces = await _read(call, read)
    if not sessions:
        raise NotFound("Session not found within authorized project")

    def answer() -> Response:
        shown = [legacy_trace(call.project_id, trace) for trace in traces]
        return json_response({**_session(call, sessions[0]), "traces": shown})

    return await call.read(answer)


def _scope(call: Call) -> tuple[int, int | None]:
    return call.engine.events.project_key(call.project_id), call.engine.events.horizon()


async def _read(call: Call, read: Callable[[sqlite3.Connection], Result]) -> Result:
    def run() -> Result:
        with call.engine.events.connection() as connection:
            return read(connection)

    try:
        return await call.read(run)
    except FilterError as error:
        raise InvalidRequest(str(error)) from error


def _order(given: dict[str, str] | None) -> tuple[str, bool]:
    if given is None:
        return "timestamp", True
    if given["column"] not in ORDER_COLUMNS:
        raise InvalidRequest(f"Invalid order by column: {given['column']}")
    return given["column"], given["order"] == "DESC"


def _equal(query: dict[str, Any], *names: str) -> list[Condition]:
    return [Condition(name, "string", "=", query[name]) for name in names if name in query]


def _trace_conditions(query: dict[str, Any]) -> list[Condition]:
    plain = _equal(query, "userId", "name", "sessionId", "version", "release")
    if "tags" in query:
        plain.append(Condition("tags", "arrayOptions", "all of", query["tags"]))
    if "environment" in query:
        plain.append(Condition("environment", "stringOptions", "any of", query["environment"]))
    if "fromTimestamp" in query:
        plain.append(Condition("timestamp", "datetime", ">=", query["fromTimestamp"]))
    if "toTimestamp" in query:
        plain.append(Condition("timestamp", "datetime", "<", query["toTimestamp"]))
    return with_unmentioned(query.get("filter") or [], plain, FILTER_COLUMNS)


def _observation_conditions(query: dict[str, Any]) -> list[Condition]:
    plain = _equal(query, "name", "type", "traceId", "level", "parentObservationId", "version")
    if "environment" in query:
        plain.append(Condition("environment", "stringOptions", "any of", query["environment"]))
    if "fromStartTime" in query:
        plain.append(Condition("startTime", "datetime", ">=", query["fromStartTime"]))
    if "toStartTime" in query:
        plain.append(Condition("startTime", "datetime", "<", query["toStartTime"]))
    return with_unmentioned(query.get("filter") or [], plain, LEGACY_COLUMNS)


def _shown(call: Call, trace: Trace, fields: frozenset[str]) -> dict[str, Any]:
    item = legacy_trace(call.project_id, trace, with_io="io" in fields)
    metrics = "metrics" in fields
    # What was not asked for is -1, because these two are numbers in every client.
    item["latency"] = trace.row["latency"] / 1000 if metrics else -1
    item["totalCost"] = trace.row["total_cost"] if metrics else -1
    item["htmlPath"] = f"/project/{call.project_id}/traces/{trace.id}"
    return item


def _listed(
    call: Call,
    connection: sqlite3.Connection,
    trace: Trace,
    fields: frozenset[str],
    scores: ScoreQuery,
) -> dict[str, Any]:
    item = _shown(call, trace, fields)
    with_observations = "observations" in fields
    item["observations"] = (
        observation_ids(connection, scores.project, trace.id, scores.horizon) if with_observations else []
    )
    item["scores"] = (
        [score["id"] for score in _scores(connection, scores, trace.id)] if "scores" in fields else []
    )
    return item


def _scores(connection: sqlite3.Connection, query: ScoreQuery, trace_id: str) -> list[StoredScore]:
    return find_scores(connection, replace(query, any_of={**query.any_of, "trace_id": [trace_id]}))


def _session(call: Call, session: sqlite3.Row) -> dict[str, Any]:
    return {
        "id": session["id"],
        "createdAt": iso(session["created_at"]),
        "projectId": call.project_id,
        "environment": session["environment"],
    }


def _models(call: Call, found: list[StoredObservation]) -> dict[str, Model]:
    used = {observation.row["model_id"] for observation in found} - {""}
    models = {model_id: call.engine.models.get(call.project_id, model_id) for model_id in used}
    return {model_id: model for model_id, model in models.items() if model}


_ROOT = "/api/public"

OPERATIONS = [
    Operation("GET", f"{_ROOT}/traces", list_traces, "trace_list", legacy=True),
    Operation("GET", f"{_ROOT}/traces/{{traceId}}", get_trace, "trace_get", legacy=True),
    Operation(
        "GET", f"{_ROOT}/observations", list_observations, "legacy_observationsV1_getMany", legacy=True
    ),
    Operation(
        "GET",
        f"{_ROOT}/observations/{{observationId}}",
        get_observation,
        "legacy_observationsV1_get",
        legacy=True,
    ),
    Operation("GET", f"{_ROOT}/sessions", list_sessions, "sessions_list", legacy=True),
    Operation("GET", f"{_ROOT}/sessions/{{sessionId}}", get_session, "sessions_get", legacy=True),
]
