"""Experiments and their items, which replace dataset runs: aggregates over observations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from starlette.responses import Response

from langfuse_embedded.clock import iso, iso_or_none, read_iso
from langfuse_embedded.http.cursors import decode_cursor, encode_cursor
from langfuse_embedded.http.errors import InvalidRequest
from langfuse_embedded.http.filters import EVENT_CONDITION, Condition, filter_of
from langfuse_embedded.http.json_answers import json_response
from langfuse_embedded.http.queries import Cursor, conditions, known_texts, page_limit, text, texts
from langfuse_embedded.http.schema import Datetime, Enum, Issues, Literal, Object, Path, Schema, String
from langfuse_embedded.store.experiments import (
    ExperimentItem,
    ExperimentPlace,
    ExperimentQuery,
    ExperimentSummary,
    find_experiments,
    find_items,
    scores_of_experiments,
    scores_of_items,
)
from langfuse_embedded.store.observation_filters import FilterError
from langfuse_embedded.store.score_rows import StoredScore

from .call import Call
from .operations import Operation
from .scores import score_item

# Parameters and filter columns, and what observations call them.
_EXPERIMENT_COLUMNS = {"id": "experimentId", "name": "experimentName", "datasetId": "experimentDatasetId"}
_ITEM_COLUMNS = {
    "experimentId": "experimentId",
    "experimentName": "experimentName",
    "experimentItemId": "experimentItemId",
    "datasetId": "experimentDatasetId",
}
_EXPERIMENT_FIELDS = ("core", "metadata", "scores")
_ITEM_FIELDS = ("core", "dataset", "io", "metadata", "itemMetadata", "experimentMetadata", "scores")
_SCORE_GROUPS = frozenset(("core", "subject"))


class _OnColumns(Schema):
    """A condition on one of some columns, which is then called as observations call it."""

    def __init__(self, columns: dict[str, str]) -> None:
        self.columns, self.column = columns, Object({"column": Enum(*columns)})

    def parse_at(self, value: Any, path: Path, issues: Issues) -> Any:
        found = EVENT_CONDITION.parse_at(value, path, issues)
        self.column.parse_at(value, path, issues)
        if not isinstance(found, Condition) or found.column not in self.columns:
            return value
        return replace(found, column=self.columns[found.column])


_CURSOR = Object(
    {
        "v": Literal(1),
        "lastTime": String(),
        "lastTraceId": String(),
        "lastId": String(),
        "lastExperimentId": String(),
    }
)


_PLACE = Object({"cursor": Cursor(_CURSOR, decode_cursor).optional()})


def _query_shape(columns: dict[str, str], fields: Sequence[str], default_fields: Sequence[str]) -> Schema:
    return Object(
        {
            "fields": known_texts(*fields, default=default_fields),
            "limit": page_limit(),
            "scoreLimit": page_limit(50),
            "cursor": text(),
            "fromStartTime": Datetime(),
            "toStartTime": Datetime().optional(),
            **{name: texts() for name in columns},
            "filter": conditions(filter_of(_OnColumns(columns))),
        }
    ).transform(_with_place)


def _with_place(query: dict[str, Any]) -> dict[str, Any]:
    # Where the next page begins is read last, when all else is right.
    return {**query, **_PLACE.parse(query)}


_EXPERIMENTS = _query_shape(_EXPERIMENT_COLUMNS, _EXPERIMENT_FIELDS, ("core",))
_ITEMS = _query_shape(_ITEM_COLUMNS, _ITEM_FIELDS, ("core", "dataset"))


class _Found(NamedTuple):
    """A page and one row more, if there is one; the scores of the page."""

    rows: Sequence[Any]
    scores: dict[str, list[StoredScore]]


async def list_experiments(call: Call) -> Response:
    """Return experiments, those with the latest activity first."""
    query = call.query(_EXPERIMENTS)
    found = await _read(call, query, _EXPERIMENT_COLUMNS, find_experiments, scores_of_experiments)
    page: Sequence[ExperimentSummary] = found.rows[: query["limit"]]
    data = []
    for experiment in page:
        item = _experiment(experiment, query["fields"])
        if "scores" in query["fields"]:
            item["scores"] = _scores(call, found.scores[experiment.id])
        data.append(item)
    return json_response({"data": data, "meta": _meta(found, query["limit"])})


async def list_experiment_items(call: Call) -> Response:
    """Return items of experiments, newest first."""
    query = call.query(_ITEMS)
    found = await _read(call, query, _ITEM_COLUMNS, find_items, scores_of_items)
    page: Sequence[ExperimentItem] = found.rows[: query["limit"]]
    data = []
    for entry in page:
        item = _item(entry, query["fields"])
        if "scores" in query["fields"]:
            item["scores"] = _scores(call, found.scores[entry.place.trace_id])
        data.append(item)
    return json_response({"data": data, "meta": _meta(found, query["limit"])})


async def _read(call: Call, query: dict[str, Any], columns: dict[str, str], find: Any, scores: Any) -> _Found:
    events = call.engine.events
    wanted = ExperimentQuery(
        project=events.project_key(call.project_id),
        since=query["fromStartTime"],
        before=query.get("toStartTime"),
        conditions=_conditions(query, columns),
        limit=query["limit"] + 1,
        after=_place(query.get("cursor")),
        horizon=events.horizon(),
    )

    def run() -> _Found:
        with events.connection() as connection:
            rows = find(connection, wanted)
            if not rows or "scores" not in query["fields"]:
                return _Found(rows, {})
            places = [row.place for row in rows[: query["limit"]]]
            return _Found(rows, scores(connection, wanted.project, places, query["scoreLimit"]))

    try:
        return await call.read(run)
    except FilterError as error:
        raise InvalidRequest(str(error)) from error


def _conditions(query: dict[str, Any], columns: dict[str, str]) -> list[Condition]:
    """Return the conditions of `filter`, and of the parameters whose columns it does not mention."""
    given: list[Condition] = query.get("filter") or []
    mentioned = {condition.column for condition in given}
    plain = [
        Condition(column, "stringOptions", "any of", query[name])
        for name, column in columns.items()
        if query.get(name) and column not in mentioned
    ]
    return [*given, *plain]


def _experiment(experiment: ExperimentSummary, fields: Sequence[str]) -> dict[str, Any]:
    details = experiment.body.more.get("experiment") or {}
    item = {
        "id": experiment.id,
        "name": experiment.name,
        "description": details.get("description") or "",
        "startTime": iso(experiment.start_time),
        "endTime": iso(experiment.end_time),
        "itemCount": experiment.item_count,
        "datasetId": experiment.dataset_id,
    }
    if "metadata" in fields:
        item["metadata"] = _texts(details.get("metadata"))
    return item


def _item(entry: ExperimentItem, fields: Sequence[str]) -> dict[str, Any]:
    row, body, place = entry.row, entry.body, entry.place
    details = body.more.get("experiment") or {}
    item = {
        "id": place.span_id,
        "traceId": place.trace_id,
        "startTime": iso(row["start_time"]),
        "endTime": iso_or_none(row["end_time"]),
        "level": row["level"],
        "environment": row["environment"],
        "experimentId": row["experiment_id"],
        "experimentName": row["experiment_name"] or "",
        "experimentItemId": row["experiment_item_id"],
    }
    if "dataset" in fields:
        item["experimentDatasetId"] = row["experiment_dataset_id"] or None
        item["experimentItemVersion"] = iso_or_none(details.get("item_version"))
    if "io" in fields:
        item["input"] = body.input or ""
        item["output"] = body.output or ""
        item["expectedOutput"] = details.get("item_expected_output") or ""
    if "metadata" in fields:
        item["metadata"] = _texts(body.metadata)
    if "itemMetadata" in fields:
        item["experimentItemMetadata"] = _texts(details.get("item_metadata"))
    if "experimentMetadata" in fields:
        item["experimentMetadata"] = _texts(details.get("metadata"))
        item["experimentDescription"] = details.get("description") or ""
    return item


def _texts(pairs: Sequence[Sequence[str]] | None) -> dict[str, str]:
    # Unlike v2/observations, values stay the texts that were stored; of equal names the first counts.
    return {pair[0]: pair[1] for pair in reversed(pairs or ())}


def _scores(call: Call, scores: Sequence[StoredScore]) -> list[dict[str, Any]]:
    return [score_item(call.project_id, score, _SCORE_GROUPS) for score in scores]


def _meta(found: _Found, limit: int) -> dict[str, str]:
    if len(found.rows) <= limit:
        return {}
    place: ExperimentPlace = found.rows[limit - 1].place
    return {
        "cursor": encode_cursor(
            {
                "v": 1,
                "lastTime": iso(place.time),
                "lastTraceId": place.trace_id,
                "lastId": place.span_id,
                "lastExperimentId": place.experiment_id,
            },
            urlsafe=True,
        )
    }


def _place(cursor: dict[str, Any] | None) -> ExperimentPlace | None:
    if cursor is None:
        return None
    time = read_iso(cursor["lastTime"])
    if time is None:
        raise InvalidRequest("Invalid cursor format")
    return ExperimentPlace(time, cursor["lastTraceId"], cursor["lastId"], cursor["lastExperimentId"])


OPERATIONS = [
    Operation("GET", "/api/public/experiments", list_experiments, "experiments_list"),
    Operation("GET", "/api/public/experiment-items", list_experiment_items, "experiments_listItems"),
]
