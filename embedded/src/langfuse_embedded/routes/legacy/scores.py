"""Score reads of `dual` mode: `v2/scores`, and `scores`, which shows those of traces alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
from starlette.responses import Response

from langfuse_embedded.http.errors import InvalidRequest, NotFound
from langfuse_embedded.http.filters import CONDITIONS
from langfuse_embedded.http.json_answers import json_response
from langfuse_embedded.http.pagination import PAGE_PARAMETERS, Page
from langfuse_embedded.http.queries import conditions, known_texts, options, text
from langfuse_embedded.http.schema import Datetime, Enum, Number, Object, Schema, String
from langfuse_embedded.routes.call import Call
from langfuse_embedded.routes.operations import Handler, Operation
from langfuse_embedded.routes.shapes.scores import legacy_score
from langfuse_embedded.scoring import DATA_TYPES
from langfuse_embedded.store.observation_filters import FilterError
from langfuse_embedded.store.score_rows import StoredScore
from langfuse_embedded.store.scores import FILTER_COLUMNS, ScoreQuery, count_scores, find_scores, traces_of

_OPERATORS = {"=": "=", "!=": "<>", "<": "<", ">": ">", "<=": "<=", ">=": ">="}
_TRACE_FIELDS_NEEDED = (
    "Cannot filter by trace properties (userId, traceTags) when 'trace' field is not included. Please add "
    "'trace' to the fields parameter or remove trace filters."
)

# Parameters that are compared with a column; lists where they may name several.
_COLUMNS = {
    "name": "name",
    "source": "source",
    "dataType": "data_type",
    "configId": "config_id",
    "queueId": "queue_id",
    "traceId": "trace_id",
    "sessionId": "session_id",
    "datasetRunId": "experiment_id",
    "scoreIds": "id",
    "observationId": "observation_id",
    "environment": "environment",
}


def _with_traces(query: dict[str, Any]) -> bool:
    return "trace" in query.get("fields", ("trace",))


def _ids() -> Schema:
    """Return the reader of a list of ids; an empty text is a list of one empty id."""
    return String().transform(lambda value: [part.strip() for part in value.split(",")]).optional()


_QUERY = Object(
    {
        **PAGE_PARAMETERS,
        "userId": text(),
        "dataType": Enum(*DATA_TYPES).optional(),
        "configId": text(),
        "queueId": text(),
        "traceTags": options(),
        "environment": options(),
        "name": text(),
        "fromTimestamp": Datetime().optional(),
        "toTimestamp": Datetime().optional(),
        "source": Enum("API", "EVAL", "ANNOTATION").optional(),
        "value": Number(coerce=True).optional(),
        "operator": Enum("<", ">", "<=", ">=", "!=", "=").optional(),
        "scoreIds": _ids(),
        "fields": known_texts("score", "trace", default=None, unknown_is_refused=False),
        "filter": conditions(CONDITIONS),
    }
)
_QUERY_OF_ALL = _QUERY.extend(
    {
        "sessionId": text(),
        "traceId": text(),
        "datasetRunId": text(),
        "observationId": _ids(),
    }
)


def _check_fields(query: dict[str, Any]) -> None:
    fields = query.get("fields")
    if fields is None:
        return
    if "score" not in fields:
        raise InvalidRequest("Scores needs to be selected always.")
    if "trace" not in fields and (query.get("userId") or query.get("traceTags")):
        raise InvalidRequest(_TRACE_FIELDS_NEEDED)


def _lister(*, of_traces: bool) -> Handler:
    async def list_scores(call: Call) -> Response:
        query = call.query(_QUERY if of_traces else _QUERY_OF_ALL)
        if of_traces:
            query.pop("fields", None)
        _check_fields(query)
        page = Page.of(query)
        wanted = _query_of(call, query, page, of_traces=of_traces)
        wanted.with_traces = of_traces or _with_traces(query)
        try:
            found, total, traces = await _read(call, wanted, with_traces=_with_traces(query))
        except FilterError as error:
            raise InvalidRequest(str(error)) from error
        data = []
        for score in found:
            shown = legacy_score(call.project_id, score, only_trace_targets=of_traces)
            if traces is not None:
                shown["trace"] = _trace(traces.get(score["trace_id"] or ""))
                if of_traces:
                    del shown["trace"]["sessionId"]
            data.append(shown)
        return json_response({"data": data, "meta": page.meta(total)})

    return list_scores


def _getter(*, of_traces: bool) -> Handler:
    async def get_score(call: Call) -> Response:
        events = call.engine.events
        query = ScoreQuery(
            events.project_key(call.project_id),
            limit=1,
            any_of={"id": [call.params["scoreId"]]},
            horizon=events.horizon(),
            of_traces=of_traces,
        )
        found = find_scores(events.db, query)
        if not found:
            raise NotFound("Score not found")
        return json_response(legacy_score(call.project_id, found[0], only_trace_targets=of_traces))

    return get_score


def _query_of(call: Call, query: dict[str, Any], page: Page, *, of_traces: bool) -> ScoreQuery:
    events = call.engine.events
    query = _without_mentioned(query)
    wanted = ScoreQuery(
        events.project_key(call.project_id),
        limit=page.limit,
        offset=page.offset,
        since=query.get("fromTimestamp"),
        before=query.get("toTimestamp"),
        horizon=events.horizon(),
        of_traces=of_traces,
        user_id=query.get("userId"),
        trace_tags=query.get("traceTags", ()),
        conditions=query.get("filter", ()),
    )
    for name, column in _COLUMNS.items():
        if name in query:
            wanted.any_of[column] = query[name] if isinstance(query[name], list) else [query[name]]
    if "operator" in query and "value" in query:
        wanted = replace(wanted, comparison=(_OPERATORS[query["operator"]], query["value"]))
    return wanted


def _without_mentioned(query: dict[str, Any]) -> dict[str, Any]:
    """Leave out the parameters on columns that the filter mentions, as the server does (`deriveFilters`)."""
    mentioned = {
        FILTER_COLUMNS[one.column].sql for one in query.get("filter", ()) if one.column in FILTER_COLUMNS
    }
    columns = {**_COLUMNS, "fromTimestamp": "timestamp", "toTimestamp": "timestamp", "value": "value"}
    return {name: value for name, value in query.items() if columns.get(name) not in mentioned}


async def _read(
    call: Call, query: ScoreQuery, *, with_traces: bool
) -> tuple[list[StoredScore], int, dict[str, dict[str, Any]] | None]:
    def scan() -> tuple[list[StoredScore], int, dict[str, dict[str, Any]] | None]:
        with call.engine.events.connection() as connection:
            found = find_scores(connection, query)
            trace_ids = {score["trace_id"]: None for score in found if score["trace_id"]}
            traces = traces_of(connection, query.project, list(trace_ids)) if with_traces else None
            return found, count_scores(connection, query), traces

    return await call.read(scan)


def _trace(trace: dict[str, Any] | None) -> dict[str, Any] | None:
    if trace is None:
        return None
    return {
        "userId": trace.get("user_id"),
        "tags": orjson.loads(trace.get("tags", "[]")),
        "environment": trace.get("environment"),
        "sessionId": trace.get("session_id"),
    }


OPERATIONS = [
    Operation("GET", "/api/public/v2/scores", _lister(of_traces=False), "scores_get-many", legacy=True),
    Operation(
        "GET", "/api/public/v2/scores/{scoreId}", _getter(of_traces=False), "scores_get-by-id", legacy=True
    ),
    Operation("GET", "/api/public/scores", _lister(of_traces=True), legacy=True),
    Operation("GET", "/api/public/scores/{scoreId}", _getter(of_traces=True), legacy=True),
]
