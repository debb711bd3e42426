"""Scores: create one or a list, read with `v3/scores`, delete."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from starlette.responses import Response

from langfuse_embedded import ids
from langfuse_embedded.clock import iso, now_ms
from langfuse_embedded.http.access import Access
from langfuse_embedded.http.cursors import decode_cursor, encode_cursor
from langfuse_embedded.http.errors import InvalidData, InvalidRequest
from langfuse_embedded.http.json_answers import json_response
from langfuse_embedded.http.queries import (
    Cursor,
    EmptyIsAbsent,
    known_texts,
    moment,
    number,
    page_limit,
    text,
    texts,
    upper_texts,
)
from langfuse_embedded.http.schema import Anything, CoercedDate, Literal, Object, String, to_number
from langfuse_embedded.javascript.values import whole
from langfuse_embedded.scoring import (
    BOOLEAN,
    CATEGORICAL,
    DATA_TYPES,
    NUMERIC,
    metadata_values,
)
from langfuse_embedded.store.score_rows import Score, StoredScore
from langfuse_embedded.store.scores import ScorePlace, ScoreQuery, find_scores

from .call import Call
from .operations import Operation
from .score_intake import EVENT_ID, SCORE, TIMED_SCORE, configured, store, summary_of

# Servers before this one know no lists of scores: SDK 5 loses all its scores there.
_FIRST_WITH_LISTS = (4, 59)

_FIELDS = ("core", "details", "subject", "annotation")
_SOURCES = ("API", "EVAL", "ANNOTATION")

# Parameters that list texts, and the column each is compared with.
_COLUMNS = {
    "id": "id",
    "name": "name",
    "source": "source",
    "dataType": "data_type",
    "environment": "environment",
    "configId": "config_id",
    "queueId": "queue_id",
    "authorUserId": "author_user_id",
    "traceId": "trace_id",
    "sessionId": "session_id",
    "observationId": "observation_id",
    "experimentId": "experiment_id",
}
_VALUE_TYPES = (NUMERIC, BOOLEAN, CATEGORICAL)


_TRACE_NEEDED = "{} filter requires a trace JOIN and is not supported in v3 — use v2 or omit this filter"
_EACH = "value filter with dataType={} requires each value to be"
_CURSOR = Object({"v": Literal(1), "lastTimestamp": CoercedDate(), "lastId": String()})


def _problems(query: dict[str, Any]) -> Iterator[str]:
    """Yield what does not fit together, in the order of `web/src/pages/api/public/v3/scores/index.ts`."""
    for name in ("userId", "traceTags"):
        if name in query:
            yield _TRACE_NEEDED.format(name)
    yield from _value_problems(query)
    if ("valueMin" in query or "valueMax" in query) and query.get("dataType") != [NUMERIC]:
        yield "valueMin and valueMax require dataType=NUMERIC as a single value"
    if "observationId" in query and "traceId" not in query:
        yield "observationId filter requires traceId — observation IDs are scoped to a trace"
    if sum(name in query for name in ("traceId", "sessionId", "experimentId")) > 1:
        yield "At most one of traceId, sessionId, experimentId may be specified"


def _value_problems(query: dict[str, Any]) -> Iterator[str]:
    types = query.get("dataType") or []
    if "value" not in query:
        return
    if len(types) != 1:
        yield "value filter requires a single dataType from: NUMERIC, BOOLEAN, CATEGORICAL"
    elif types[0] not in _VALUE_TYPES:
        yield f'value filter requires dataType to be NUMERIC, BOOLEAN, or CATEGORICAL (got "{types[0]}")'
    else:
        for value in query["value"]:
            if types == [NUMERIC] and not math.isfinite(to_number(value)):
                yield f'{_EACH.format("NUMERIC")} a finite number (got "{value}")'
            if types == [BOOLEAN] and value not in ("true", "false"):
                yield f'{_EACH.format("BOOLEAN")} "true" or "false" (got "{value}")'


_LIST = Object(
    {
        "limit": page_limit(),
        "fields": known_texts(*_FIELDS, default=("core",)),
        **{name: texts() for name in _COLUMNS},
        "source": upper_texts("source", _SOURCES),
        "dataType": upper_texts("dataType", DATA_TYPES),
        "value": texts(),
        "valueMin": number(),
        "valueMax": number(),
        "fromTimestamp": moment(),
        "toTimestamp": moment(),
        **dict.fromkeys(("userId", "traceTags"), EmptyIsAbsent(text())),
        "cursor": Cursor(_CURSOR, decode_cursor).optional(),
    },
    strict=True,
).super_refine(_problems)


async def create_scores(call: Call) -> Response:
    """Store one score (`{"id": …}`), or a list of scores as SDK 5 sends it."""
    body = await call.json(Anything())
    if isinstance(body, list) and _takes_lists(call.engine.config.compat):
        return await _create_list(call, body)
    score = SCORE.parse(body)
    score_id = score.get("id") or ids.uuid4()
    try:
        EVENT_ID.parse({"body": {"id": score_id}})
    except InvalidData as error:
        raise InvalidRequest(error.text, named=False) from None
    await store(call, [configured(call, score, score_id=score_id, timestamp=now_ms())])
    return json_response({"id": score_id})


def _takes_lists(compat: str) -> bool:
    numbers = tuple(int(part) for part in compat.split(".") if part.isdigit())
    return not numbers or numbers >= _FIRST_WITH_LISTS


async def _create_list(call: Call, body: list[Any]) -> Response:
    now = now_ms()
    accepted: list[Score | None] = []
    errors: list[dict[str, str]] = []
    for place, item in enumerate(body):
        try:
            score = TIMED_SCORE.parse(item)
        except InvalidData as error:
            errors.append({"message": f"Score {place} was rejected: {summary_of(error)}"})
        else:
            timestamp = score.get("timestamp")
            score_id = score.get("id") or ids.uuid4()
            timestamp = now if timestamp is None else timestamp
            accepted.append(configured(call, score, score_id=score_id, timestamp=timestamp))
    await store(call, accepted)
    if not errors:
        return json_response({"message": "Accepted"}, 202)
    return json_response({"accepted": len(accepted), "rejected": len(errors), "errors": errors}, 207)


async def list_scores(call: Call) -> Response:
    """Return scores, newest first."""
    query = call.query(_LIST)
    limit = query["limit"]
    wanted = _query_of(call, query, limit + 1)
    found = await read_scores(call, wanted)
    page = found[:limit]
    meta: dict[str, Any] = {"limit": limit}
    if len(found) > limit:
        meta["cursor"] = _cursor(page[-1])
    groups = frozenset(query.get("fields", ()))
    data = [score_item(call.project_id, score, groups) for score in page]
    return json_response({"data": data, "meta": meta})


async def delete_score(call: Call) -> Response:
    """Delete a score at once; the answer is that of the server, which queues."""
    await call.engine.writer.submit(
        "delete_scores", {"project": call.project_id, "ids": [call.params["scoreId"]]}
    )
    return json_response({"message": "Score deletion queued successfully"}, 202)


async def read_scores(call: Call, query: ScoreQuery) -> list[StoredScore]:
    """Return what a query finds, in a thread where it may scan."""
    events = call.engine.events
    if query.is_cheap:
        return find_scores(events.db, query)

    def scan() -> list[StoredScore]:
        with events.connection() as connection:
            return find_scores(connection, query)

    return await call.read(scan)


def _query_of(call: Call, query: dict[str, Any], limit: int) -> ScoreQuery:
    events = call.engine.events
    wanted = ScoreQuery(
        project=events.project_key(call.project_id),
        limit=limit,
        any_of={column: query[name] for name, column in _COLUMNS.items() if name in query},
        minimum=query.get("valueMin"),
        maximum=query.get("valueMax"),
        since=query.get("fromTimestamp"),
        before=query.get("toTimestamp"),
        after=_place(query.get("cursor")),
        horizon=events.horizon(),
    )
    values = query.get("value")
    if values is not None:
        if query["dataType"] == [CATEGORICAL]:
            wanted.any_of["string_value"] = values
        elif query["dataType"] == [BOOLEAN]:
            wanted.numbers = [1.0 if value == "true" else 0.0 for value in values]
        else:
            wanted.numbers = [float(to_number(value)) for value in values]
    return wanted


def _cursor(last: StoredScore) -> str:
    return encode_cursor(
        {"v": 1, "lastTimestamp": iso(last["timestamp"]), "lastId": last["id"]}, urlsafe=True
    )


def _place(cursor: dict[str, Any] | None) -> ScorePlace | None:
    return None if cursor is None else ScorePlace(cursor["lastTimestamp"], cursor["lastId"])


def score_item(project_id: str, score: StoredScore, groups: frozenset[str]) -> dict[str, Any]:
    """Return a score as `v3/scores` writes it: `core`, and further groups of fields."""
    shown: dict[str, Any] = {
        "id": score["id"],
        "projectId": project_id,
        "name": score["name"],
        "source": score["source"],
        "timestamp": iso(score["timestamp"]),
        "environment": score["environment"],
        "createdAt": iso(score["created_at"]),
        "updatedAt": iso(score["updated_at"]),
    }
    if "details" in groups:
        shown["comment"] = score["comment"]
        shown["configId"] = score["config_id"]
        shown["metadata"] = metadata_values(score["metadata"])
    if "annotation" in groups:
        shown["authorUserId"] = score["author_user_id"]
        shown["queueId"] = score["queue_id"]
    if "subject" in groups:
        shown["subject"] = _subject(score)
    shown["dataType"] = score["data_type"]
    shown["value"] = _value(score)
    return shown


def _subject(score: StoredScore) -> dict[str, Any]:
    if score["experiment_id"]:
        return {"kind": "experiment", "id": score["experiment_id"]}
    if score["observation_id"]:
        of_trace = {"traceId": score["trace_id"]} if score["trace_id"] else {}
        return {"kind": "observation", "id": score["observation_id"], **of_trace}
    if score["session_id"]:
        return {"kind": "session", "id": score["session_id"]}
    return {"kind": "trace", "id": score["trace_id"]}


def _value(score: StoredScore) -> Any:
    if score["data_type"] == NUMERIC:
        return None if score["value"] is None else whole(score["value"])
    if score["data_type"] == BOOLEAN:
        return score["value"] == 1
    return score["string_value"]


OPERATIONS = [
    Operation("POST", "/api/public/scores", create_scores, "scores_create", Access.SCORES),
    Operation("GET", "/api/public/v3/scores", list_scores, "scoresV3_getManyV3"),
    Operation("DELETE", "/api/public/scores/{scoreId}", delete_score, "legacy_scoreV1_delete"),
]
