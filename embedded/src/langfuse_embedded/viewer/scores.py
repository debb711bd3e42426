"""Scores: the list with its filters."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool

from langfuse_embedded.clock import now_ms
from langfuse_embedded.judge.jobs import summary
from langfuse_embedded.store.score_rows import StoredScore
from langfuse_embedded.store.scores import ScorePlace, ScoreQuery, find_scores

from .urls import project_url
from .visit import Answer, Page, View, Visit, whole_number

_PAGE_SIZE = 100
_COLUMNS = {"name": "name", "source": "source", "type": "data_type", "environment": "environment"}
_FILTERS = (*_COLUMNS, "user", "from", "to")
SOURCES = ("API", "EVAL", "ANNOTATION")
TYPES = ("NUMERIC", "CATEGORICAL", "BOOLEAN", "TEXT", "CORRECTION")


async def score_list(visit: Visit) -> Answer:
    """Show scores, newest first."""
    filters = {name: visit.text(name) for name in _FILTERS}
    query = ScoreQuery(
        project=visit.project_key,
        limit=_PAGE_SIZE + 1,
        any_of={column: [filters[name]] for name, column in _COLUMNS.items() if filters[name]},
        since=visit.moment("from"),
        before=visit.moment("to"),
        after=_place(visit.text("after")),
        user_id=filters["user"] or None,
        horizon=visit.engine.events.horizon(),
    )

    def read() -> list[StoredScore]:
        with visit.engine.events.connection() as connection:
            return find_scores(connection, query)

    found = await visit.read(read)
    page = found[:_PAGE_SIZE]
    has_next = len(found) > _PAGE_SIZE
    following = f"{page[-1]['timestamp']}-{page[-1]['id']}" if has_next else None
    values = {
        "section": "scores",
        "judge": await run_in_threadpool(summary, visit.engine.config.data_dir, visit.project_id, now_ms()),
        "paused": visit.engine.evaluators.paused(visit.project_id),
        "scores": page,
        "filters": filters,
        "sources": SOURCES,
        "types": TYPES,
        "is_filtered": any(filters.values()),
        "is_first_page": query.after is None,
        "first_url": project_url(visit.project_id, "scores", **filters),
        "next_url": project_url(visit.project_id, "scores", **filters, after=following),
        "has_next": has_next,
    }
    return View("scores.html", values)


def _place(text: str) -> ScorePlace | None:
    moment, _, score_id = text.partition("-")
    timestamp = whole_number(moment)
    return ScorePlace(timestamp, score_id) if timestamp is not None and score_id else None


PAGES = (Page("/project/{projectId}/scores", score_list),)
