"""Traces: the list with its filters, and one trace as a tree with the selected observation beside it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, RedirectResponse

from langfuse_embedded.clock import iso
from langfuse_embedded.routes.shapes.observations import metadata_of
from langfuse_embedded.store.observation_query import StoredObservation
from langfuse_embedded.store.score_rows import StoredScore
from langfuse_embedded.store.scores import ScoreQuery, find_scores
from langfuse_embedded.store.traces import find_trace_row

from .content import content_of, content_of_value
from .formats import one_line
from .list_page import ListPage
from .score_values import score_text, scores_of_traces
from .tables import TRACES, Keyed
from .trace_tree import Tree, tree_of
from .urls import trace_url
from .visit import Answer, Page, View, Visit, not_found

_TREE_ROWS = 1000
_MAX_SCORES = 1000
_CSV = (
    "id", "name", "start_time", "latency_ms", "observations", "errors", "total_tokens", "cost_usd", "user",
    "session", "environment", "tags", "scores",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TraceRow:
    """A trace in the list. `preview` is the beginning of its output, or else of its input."""

    figures: Keyed
    name: str
    user_id: str
    session_id: str
    environment: str
    tags: Sequence[str]
    preview: str
    scores: Sequence[StoredScore]


async def trace_list(visit: Visit) -> Answer:
    """Show traces, newest first or in the order asked for; or give them as a file."""
    if peeked := visit.text("peek"):
        # The server opens a trace beside the list at this address.
        observation = visit.text("observation")
        return RedirectResponse(trace_url(visit.project_id, peeked, observation), 303)
    page = ListPage(visit, TRACES)

    def read() -> tuple[list[TraceRow], dict[str, Any]]:
        query = page.query()
        part = page.slice(query)
        rows = _trace_rows(visit, page, part.rows)
        if page.is_csv:
            return rows, {}
        return rows, page.values(part, query) | {"has_any": bool(rows) or _has_any(visit, page.project)}

    rows, values = await visit.read(read)
    if page.is_csv:
        return page.csv(_CSV, [_cells(one) for one in rows])
    return View("traces.html", values | {"rows": rows, "base_url": visit.public_url})


def _has_any(visit: Visit, project: int) -> bool:
    with visit.engine.events.connection() as connection:
        found = connection.execute("select 1 from observations where project = ? limit 1", (project,))
        return found.fetchone() is not None


def _trace_rows(visit: Visit, page: ListPage, found: Sequence[Keyed]) -> list[TraceRow]:
    details = {
        row[0]: row[1:]
        for row in visit.engine.metrics.rows(
            "select id, name, user_id, session_id, environment, tags, root from traces"
            " where project = $project and id in (select unnest($ids))",
            {"project": page.project, "ids": [one.key for one in found]},
            horizon=page.horizon,
        )
    }
    with visit.engine.events.observations_in_thread() as reader:
        scores = scores_of_traces(reader.connection, page.project, [one.key for one in found], page.horizon)
        roots = [row[5] for row in details.values() if row[5] is not None]
        bodies = {} if page.is_csv else {one.trace_id: one for one in reader.numbered(page.project, roots)}
    rows = []
    for one in found:
        name, user, session, environment, tags, _ = details.get(one.key, ("", "", "", "", [], None))
        root = bodies.get(one.key)
        body = root.body if root else None
        preview = one_line(body.output, 140) or one_line(body.input, 140) if body else ""
        own = scores.get((one.key, None), [])
        rows.append(TraceRow(one, name, user, session, environment, tags, preview, own))
    return rows


def _cells(one: TraceRow) -> list[Any]:
    it = one.figures
    scores = "; ".join(f"{score['name']}={score_text(score)}" for score in one.scores)
    return [
        it.key, one.name, iso(it.began), it.ended - it.began, it.observations, it.errors, it.tokens, it.cost,
        one.user_id, one.session_id, one.environment, "; ".join(one.tags), scores,
    ]  # fmt: skip


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
