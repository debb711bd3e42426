"""Sessions: the list, and one session as the conversation that its traces make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langfuse_embedded.clock import iso
from langfuse_embedded.store.score_rows import StoredScore
from langfuse_embedded.store.trace_overview import (
    FirstError,
    OverviewQuery,
    SessionFigures,
    TraceOverview,
    TracePlace,
    find_overview,
    first_error,
    session_figures,
    turns_before,
)

from .content import Content, content_of
from .list_page import ListPage
from .score_values import score_text, scores_of_sessions, scores_of_traces
from .tables import SESSIONS, Keyed
from .text_search import SEARCH_SECONDS
from .urls import project_url
from .visit import Answer, Page, View, Visit, not_found, whole_number

_TRACES_PER_PAGE = 25
_CSV = (
    "id", "start_time", "span_ms", "traces", "observations", "errors", "total_tokens", "cost_usd", "users",
    "environment", "scores",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session in the list."""

    figures: Keyed
    users: Sequence[str]
    environment: str
    scores: Sequence[StoredScore]


@dataclass(frozen=True, slots=True)
class Turn:
    """A trace of a session: what went in, what came out, how all of it scored, and its first error.

    `number` counts from 1 at the beginning of the session.
    """

    number: int
    trace: TraceOverview
    input: Content | None
    output: Content | None
    scores: Sequence[StoredScore]
    error: FirstError | None


async def session_list(visit: Visit) -> Answer:
    """Show sessions, newest first or in the order asked for; or give them as a file."""
    page = ListPage(visit, SESSIONS)

    def read() -> tuple[list[SessionRow], dict[str, Any]]:
        query = page.query()
        part = page.slice(query)
        rows = _session_rows(visit, page, part.rows)
        return rows, {} if page.is_csv else page.values(part, query)

    rows, values = await visit.read(read)
    if page.is_csv:
        return page.csv(_CSV, [_cells(one) for one in rows])
    return View("sessions.html", values | {"rows": rows})


def _session_rows(visit: Visit, page: ListPage, found: Sequence[Keyed]) -> list[SessionRow]:
    ids = [one.key for one in found]
    details = {
        row[0]: row[1:]
        for row in visit.engine.metrics.rows(
            "select session_id, list_sort(list(distinct user_id) filter (where user_id <> '')),"
            " arg_min(environment, seq) from observations"
            " where project = $project and session_id in (select unnest($ids)) group by session_id",
            {"project": page.project, "ids": ids},
            horizon=page.horizon,
        )
    }
    with visit.engine.events.connection() as connection:
        scores = scores_of_sessions(connection, page.project, ids, page.horizon)
    return [
        SessionRow(one, users or (), environment, scores.get(one.key, ()))
        for one in found
        for users, environment in (details.get(one.key, ((), "")),)
    ]


def _cells(one: SessionRow) -> list[Any]:
    it = one.figures
    scores = "; ".join(f"{score['name']}={score_text(score)}" for score in one.scores)
    return [
        it.key, iso(it.began), it.ended - it.began, it.traces, it.observations, it.errors, it.tokens, it.cost,
        "; ".join(one.users), one.environment, scores,
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class SessionPart:
    """A session with one page of its turns, oldest first; `following` is where the next page begins."""

    figures: SessionFigures
    scores: Sequence[StoredScore]
    turns: Sequence[Turn]
    following: str | None


async def session_part(visit: Visit, session_id: str, after: TracePlace | None) -> SessionPart | None:
    """Return a session with the turns after a place; ``None`` when there is no such session."""
    project, horizon = visit.project_key, visit.engine.events.horizon()
    query = OverviewQuery(
        project=project, session_id=session_id, limit=_TRACES_PER_PAGE + 1, after=after, horizon=horizon
    )

    def read() -> SessionPart | None:
        with visit.engine.events.connection() as connection:
            figures = session_figures(connection, project, session_id, horizon)
            if figures is None:
                return None
            found = find_overview(connection, query, SEARCH_SECONDS)
            scores = scores_of_traces(connection, project, {one.id for one in found}, horizon)
            own = scores_of_sessions(connection, project, [session_id], horizon)
            before = turns_before(connection, query)
            turns = [
                Turn(
                    before + place,
                    one,
                    content_of(one.body.input if one.body else None),
                    content_of(one.body.output if one.body else None),
                    [score for (trace_id, _), some in scores.items() if trace_id == one.id for score in some],
                    first_error(connection, project, one.id, query.upto) if one.errors else None,
                )
                for place, one in enumerate(found, 1)
            ]
        page = turns[:_TRACES_PER_PAGE]
        last = page[-1].trace.place if len(turns) > _TRACES_PER_PAGE else None
        following = f"{last.start_time}-{last.trace_id}" if last else None
        return SessionPart(figures, own.get(session_id, []), page, following)

    return await visit.read(read)


async def session(visit: Visit) -> Answer:
    """Show the traces of one session with what went in and came out, oldest first."""
    session_id, after = visit.params["sessionId"], _place(visit.text("after"))
    found = await session_part(visit, session_id, after)
    if found is None:
        raise not_found("session")
    comments, _ = visit.engine.comments.page(
        visit.project_id, {"object_type": "SESSION", "object_id": session_id}, 100, 0
    )
    values = {
        "section": "sessions",
        "session_id": session_id,
        "figures": found.figures,
        "scores": found.scores,
        "comments": comments,
        "turns": found.turns,
        "is_first_page": after is None,
        "first_url": project_url(visit.project_id, "sessions", session_id),
        "next_url": project_url(visit.project_id, "sessions", session_id, after=found.following),
        "has_next": found.following is not None,
    }
    return View("session.html", values)


def _place(text: str) -> TracePlace | None:
    moment, _, trace_id = text.partition("-")
    start_time = whole_number(moment)
    return TracePlace(start_time, trace_id) if start_time is not None and trace_id else None


PAGES = (
    Page("/project/{projectId}/sessions", session_list),
    Page("/project/{projectId}/sessions/{sessionId}", session),
)
