"""One trace as a tree over time, with the selected observation beside it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.responses import PlainTextResponse, RedirectResponse

from langfuse_embedded.routes.shapes.observations import metadata_of
from langfuse_embedded.store.comments import Comment
from langfuse_embedded.store.observation_query import StoredObservation
from langfuse_embedded.store.score_rows import StoredScore
from langfuse_embedded.store.scores import ScoreQuery, find_scores
from langfuse_embedded.store.traces import find_trace_row

from .annotating import MOST_EXPECTED, forms
from .content import content_of, content_of_value
from .finding import Finder
from .trace_tree import Tree, tree_of
from .urls import trace_url
from .visit import Answer, Page, View, Visit, not_found

_TREE_ROWS = 1000
_MAX_SCORES = 1000
_MAX_COMMENTS = 100
# What SDKs say of themselves, and what they run on.
_OF_SDK = ("resourceAttributes", "scope")


@dataclass(frozen=True, slots=True)
class TraceContents:
    """A trace with the observation that is shown beside its tree."""

    row: sqlite3.Row
    observations: Sequence[StoredObservation]
    scores: Sequence[StoredScore]
    selected: StoredObservation
    tree: Tree[StoredScore]


async def trace(visit: Visit) -> Answer:
    """Show one trace. `?observation=` selects one of it, by default the root; `?find=` marks a text in it."""
    trace_id, wanted = visit.params["traceId"], visit.text("observation")
    project, horizon = visit.project_key, visit.engine.events.horizon()
    contents = await visit.read(lambda: read_trace(visit, project, horizon, trace_id, wanted))
    if contents is None:
        raise not_found("trace")
    rows = contents.tree.rows
    place = next(index for index, row in enumerate(rows) if row.observation.id == contents.selected.id)
    page = visit.number("rows", place // _TREE_ROWS + 1)
    first = (page - 1) * _TREE_ROWS
    selected, row = contents.selected, contents.row
    selected_row = rows[place]
    failed = [one for one in contents.observations if one.row["level"] == "ERROR"]
    comments = visit.engine.comments
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
        "errors": len(failed),
        "first_error": failed[0].id if failed else None,
        "comments": comments_on(visit, "TRACE", trace_id),
        "commented": comments.counts(
            visit.project_id, "OBSERVATION", [one.id for one in contents.observations]
        ),
        "forms": forms(visit),
        "trace_scores": [one for one in contents.scores if one["observation_id"] is None],
        "selected": selected,
        "detail": detail_of(selected, selected_row.scores, visit.text("find"))
        | {
            "comments": comments_on(visit, "OBSERVATION", selected.id),
            "own_time": contents.tree.own_time(selected) if contents.tree.children.get(selected.id) else None,
            "gap": contents.tree.longest_gap(selected),
            "queued": visit.engine.annotation_queues.with_object(
                visit.project_id, {"TRACE": trace_id, "OBSERVATION": selected.id}
            ),
            "is_critical": selected_row.is_critical,
        },
    }
    return View("trace.html", values)


def comments_on(visit: Visit, object_type: str, object_id: str) -> Sequence[Comment]:
    """Return the comments on something."""
    wanted = {"object_type": object_type, "object_id": object_id}
    found, _ = visit.engine.comments.page(visit.project_id, wanted, _MAX_COMMENTS, 0)
    return found


def read_trace(
    visit: Visit, project: int, horizon: int | None, trace_id: str, wanted: str
) -> TraceContents | None:
    """Return a trace with one of its observations selected, the root unless `wanted` is there."""
    events = visit.engine.events
    with events.observations_in_thread() as reader, events.connection() as connection:
        observations = reader.trace(project, trace_id, with_bodies=False, horizon=horizon)
        found = find_trace_row(connection, project, trace_id, horizon)
        if not observations or found is None:
            return None
        query = ScoreQuery(project, _MAX_SCORES, any_of={"trace_id": [trace_id]}, horizon=horizon)
        scores = find_scores(connection, query)
        tree = tree_of(observations, _by_observation(scores))
        known = {one.id for one in observations}
        chosen = wanted if wanted in known else tree.rows[0].observation.id
        selected = reader.one(project, chosen, trace_id=trace_id, horizon=horizon)
        return TraceContents(found, observations, scores, selected, tree) if selected else None


def _by_observation(scores: Sequence[StoredScore]) -> dict[str, list[StoredScore]]:
    found: dict[str, list[StoredScore]] = {}
    for one in scores:
        if one["observation_id"] is not None:
            found.setdefault(one["observation_id"], []).append(one)
    return found


def detail_of(
    observation: StoredObservation, scores: Sequence[StoredScore], find: str | None = None
) -> dict[str, Any]:
    """Return what the panel of one observation shows, with the text `find` marked; ``None``: none can be."""
    row, body = observation.row, observation.body
    first, output = row["completion_start_time"], body.output if body else None
    metadata = metadata_of(body.metadata) if body else {}
    tools = {name: one for name, one in (body.more if body else {}).items() if name.startswith("tool_")}
    # In the order of the page: marks are numbered.
    finder = Finder(find or "")
    shown_input = finder.content(content_of(body.input if body else None))
    shown_output = finder.content(content_of(output))
    shown_tools = {
        name.replace("_", " "): finder.content(content_of_value(value))
        for name, value in tools.items()
        if value
    }
    own, of_sdk = (
        finder.named(
            {
                name: content_of_value(value)
                for name, value in metadata.items()
                if (name.partition(".")[0] in _OF_SDK) is is_of_sdk
            }
        )
        for is_of_sdk in (False, True)
    )
    return {
        "row": row,
        "id": observation.id,
        "duration": None if row["end_time"] is None else row["end_time"] - row["start_time"],
        "first_token": None if first is None else first - row["start_time"],
        "parameters": _object(row["model_parameters"]),
        "usage": _object(row["usage"]),
        "cost": _object(row["cost"]),
        "input": shown_input,
        "output": shown_output,
        "expected": output if output is not None and len(output) <= MOST_EXPECTED else None,
        "metadata": own,
        "sdk_metadata": of_sdk,
        "is_sdk_open": any(one.hits for one in of_sdk.values() if one)
        or any("<mark" in name for name in of_sdk),
        "tools": shown_tools,
        "scores": scores,
        "find": None if find is None else finder,
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

    found = await visit.read(read)
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
    Page("/project/{projectId}/traces/{traceId}", trace),
    Page("/project/{projectId}/traces/{traceId}/{observationId}/{part}", raw_text),
)
