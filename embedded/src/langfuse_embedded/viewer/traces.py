"""Traces: the list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import RedirectResponse

from langfuse_embedded.clock import iso
from langfuse_embedded.store.score_rows import StoredScore

from .content import preview
from .list_page import ListPage
from .score_values import score_text, scores_of_traces
from .tables import TRACES, Keyed
from .urls import trace_url
from .visit import Answer, Page, View, Visit

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
    ids = {f"id{number}": one.key for number, one in enumerate(found)}
    # As single values: DuckDB looks at these rows then, and not at a view of all traces.
    among = ", ".join(f"${name}" for name in ids) or "''"
    details = {
        row[0]: row[1:]
        for row in visit.engine.metrics.rows(
            "select id, name, user_id, session_id, environment, tags, root from traces"
            f" where project = $project and id in ({among})",
            {"project": page.project, **ids},
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
        shown = preview(body.output) or preview(body.input) if body else ""
        own = scores.get((one.key, None), [])
        rows.append(TraceRow(one, name, user, session, environment, tags, shown, own))
    return rows


def _cells(one: TraceRow) -> list[Any]:
    it = one.figures
    scores = "; ".join(f"{score['name']}={score_text(score)}" for score in one.scores)
    return [
        it.key, one.name, iso(it.began), it.ended - it.began, it.observations, it.errors, it.tokens, it.cost,
        one.user_id, one.session_id, one.environment, "; ".join(one.tags), scores,
    ]  # fmt: skip


PAGES = (Page("/project/{projectId}/traces", trace_list),)
