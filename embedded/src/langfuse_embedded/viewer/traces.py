"""Traces: the list with its filters, and one trace as a tree with the selected observation beside it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, RedirectResponse

from langfuse_embedded.routes.shapes.observations import metadata_of
from langfuse_embedded.store.observation_query import StoredObservation
from langfuse_embedded.store.score_rows import StoredScore
from langfuse_embedded.store.scores import ScoreQuery, find_scores
from langfuse_embedded.store.trace_overview import (
    OverviewQuery,
    SearchTooSlow,
    TraceOverview,
    TracePlace,
    find_overview,
)
from langfuse_embedded.store.traces import find_trace_row

from .content import content_of, content_of_value
from .trace_tree import Tree, tree_of
from .urls import project_url, trace_url
from .visit import Answer, Page, PageRefused, View, Visit, not_found, whole_number

LEVELS = ("DEBUG", "DEFAULT", "WARNING", "ERROR")
_PAGE_SIZE = 50
_SEARCH_SECONDS = 5.0
_TREE_ROWS = 1000
_MAX_SCORES = 1000
_TEXT_FILTERS = ("text", "name", "user", "session", "environment", "tag", "level", "from", "to")


async def trace_list(visit: Visit) -> Answer:
    """Show traces, newest first."""
    if peeked := visit.text("peek"):
        # The server opens a trace beside the list at this address.
        observation = visit.text("observation")
        return RedirectResponse(trace_url(visit.project_id, peeked, observation), 303)
    filters = {name: visit.text(name) for name in _TEXT_FILTERS}
    query = OverviewQuery(
        project=visit.project_key,
        limit=_PAGE_SIZE + 1,
        after=place_of(visit.text("after")),
        horizon=visit.engine.events.horizon(),
        name=filters["name"],
        user_id=filters["user"],
        session_id=filters["session"],
        environment=filters["environment"],
        tag=filters["tag"],
        level=filters["level"],
        text=filters["text"],
        since=visit.moment("from"),
        before=visit.moment("to"),
    )
    found = await overview(visit, query)
    page = found[:_PAGE_SIZE]
    following = place_text(page[-1].place) if len(found) > _PAGE_SIZE else None
    values = {
        "section": "traces",
        "traces": page,
        "filters": filters,
        "is_filtered": any(filters.values()),
        "levels": LEVELS,
        "is_first_page": query.after is None,
        "first_url": project_url(visit.project_id, "traces", **filters),
        "next_url": project_url(visit.project_id, "traces", **filters, after=following),
        "has_next": following is not None,
    }
    return View("traces.html", values)


async def overview(visit: Visit, query: OverviewQuery) -> list[TraceOverview]:
    """Return a page of traces, read in a thread.

    Raises:
        PageRefused: the search took too long.
    """

    def search() -> list[TraceOverview]:
        with visit.engine.events.connection() as connection:
            return find_overview(connection, query, _SEARCH_SECONDS)

    try:
        return await run_in_threadpool(search)
    except SearchTooSlow:
        raise PageRefused(
            503,
            "This search takes too long",
            f"It was given up after {_SEARCH_SECONDS:g} seconds. Narrow the range of time (from, to), or "
            "filter by session: both have an index.",
        ) from None


def place_of(text: str) -> TracePlace | None:
    """Return the place that `place_text` wrote, ``None`` for anything else."""
    moment, _, trace_id = text.partition("-")
    start_time = whole_number(moment)
    return TracePlace(start_time, trace_id) if start_time is not None and trace_id else None


def place_text(place: TracePlace) -> str:
    """Return a place as a query parameter."""
    return f"{place.start_time}-{place.trace_id}"


@dataclass(frozen=True, slots=True)
class _TraceContents:
    row: sqlite3.Row
    observations: Sequence[StoredObservation]
    scores: Sequence[StoredScore]
    selected: StoredObservation
    tree: Tree


async def trace(visit: Visit) -> Answer:
    """Show one trace. `?observation=` selects an observation, by default the root."""
    trace_id, wanted = visit.params["traceId"], visit.text("observation")
    project, horizon = visit.project_key, visit.engine.events.horizon()
    contents = await run_in_threadpool(_read_trace, visit, project, horizon, trace_id, wanted)
    if contents is None:
        raise not_found("trace")
    rows = contents.tree.rows
    place = next(index for index, row in enumerate(rows) if row.observation.id == contents.selected.id)
    page = visit.number("rows", place // _TREE_ROWS + 1)
    first = (page - 1) * _TREE_ROWS
    selected, row = contents.selected, contents.row
    own_scores = [one for one in contents.scores if one["observation_id"] == selected.id]
    values = {
        "section": "traces",
        "trace_id": trace_id,
        "trace": row,
        "name": row["name"] or rows[0].observation.row["name"],
        "tags": _strings(row["tags"]),
        "tree": contents.tree,
        "rows": rows[first : first + _TREE_ROWS],
        "total": len(rows),
        "first": first,
        "previous_page": page - 1,
        "next_page": page + 1 if first + _TREE_ROWS < len(rows) else None,
        "errors": sum(one.row["level"] == "ERROR" for one in contents.observations),
        "trace_scores": [one for one in contents.scores if one["observation_id"] is None],
        "selected": selected,
        "detail": _detail(selected, own_scores),
    }
    return View("trace.html", values)


def _read_trace(
    visit: Visit, project: int, horizon: int | None, trace_id: str, wanted: str
) -> _TraceContents | None:
    events = visit.engine.events
    with events.observations_in_thread() as reader, events.connection() as connection:
        observations = reader.trace(project, trace_id, with_bodies=False, horizon=horizon)
        found = find_trace_row(connection, project, trace_id, horizon)
        if not observations or found is None:
            return None
        query = ScoreQuery(project, _MAX_SCORES, any_of={"trace_id": [trace_id]}, horizon=horizon)
        scores = find_scores(connection, query)
        tree = tree_of(observations, _count_by_observation(scores))
        known = {one.id for one in observations}
        chosen = wanted if wanted in known else tree.rows[0].observation.id
        selected = reader.one(project, chosen, trace_id=trace_id, horizon=horizon)
        return _TraceContents(found, observations, scores, selected, tree) if selected else None


def _count_by_observation(scores: Sequence[StoredScore]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for one in scores:
        if one["observation_id"] is not None:
            counts[one["observation_id"]] = counts.get(one["observation_id"], 0) + 1
    return counts


def _detail(observation: StoredObservation, scores: Sequence[StoredScore]) -> dict[str, Any]:
    """Return what the panel of one observation shows."""
    row, body = observation.row, observation.body
    first = row["completion_start_time"]
    metadata = metadata_of(body.metadata) if body else {}
    tools = {name: one for name, one in (body.more if body else {}).items() if name.startswith("tool_")}
    return {
        "row": row,
        "id": observation.id,
        "duration": None if row["end_time"] is None else row["end_time"] - row["start_time"],
        "first_token": None if first is None else first - row["start_time"],
        "parameters": _object(row["model_parameters"]),
        "usage": _object(row["usage"]),
        "cost": _object(row["cost"]),
        "input": content_of(body.input if body else None),
        "output": content_of(body.output if body else None),
        "metadata": {name: content_of_value(value) for name, value in metadata.items()},
        "tools": {name.replace("_", " "): content_of_value(value) for name, value in tools.items() if value},
        "scores": scores,
    }


async def trace_anywhere(visit: Visit) -> Answer:
    """Lead on to a trace in whichever project has it: old SDKs print this address, without the project."""
    trace_id = visit.params["traceId"]
    for project in visit.projects:
        if visit.engine.subjects.has_trace(project.id, trace_id):
            return RedirectResponse(trace_url(project.id, trace_id), 303)
    raise not_found("trace")


async def raw_text(visit: Visit) -> Answer:
    """Return the whole input or output of an observation, as it was sent."""
    part = visit.params["part"]
    if part not in ("input", "output"):
        raise not_found("page")
    project, horizon = visit.project_key, visit.engine.events.horizon()

    def read() -> StoredObservation | None:
        with visit.engine.events.observations_in_thread() as reader:
            return reader.one(
                project, visit.params["observationId"], trace_id=visit.params["traceId"], horizon=horizon
            )

    found = await run_in_threadpool(read)
    if found is None or found.body is None:
        raise not_found("observation")
    return PlainTextResponse((found.body.input if part == "input" else found.body.output) or "")


def _object(text: str | None) -> dict[str, Any]:
    value = orjson.loads(text) if text else {}
    return value if isinstance(value, dict) else {}


def _strings(text: str | None) -> list[str]:
    return [str(one) for one in orjson.loads(text)] if text else []


PAGES = (
    Page("/trace/{traceId}", trace_anywhere),
    Page("/project/{projectId}/traces", trace_list),
    Page("/project/{projectId}/traces/{traceId}", trace),
    Page("/project/{projectId}/traces/{traceId}/{observationId}/{part}", raw_text),
)
