"""Sessions: the list, and one session as the conversation that its traces make."""

from __future__ import annotations

import sqlite3
from typing import Any

from starlette.concurrency import run_in_threadpool

from langfuse_embedded.store.trace_overview import OverviewQuery, SessionFigures, session_figures
from langfuse_embedded.store.traces import SessionQuery, find_sessions

from .content import content_of
from .paging import PAGE_SIZE, NumberedPage
from .traces import overview, place_of, place_text
from .urls import project_url
from .visit import Answer, Page, View, Visit, not_found

_TRACES_PER_PAGE = 25


async def session_list(visit: Visit) -> Answer:
    """Show sessions, newest first."""
    page = NumberedPage.of(visit)
    environment = visit.text("environment")
    query = SessionQuery(
        project=visit.project_key,
        limit=PAGE_SIZE,
        offset=page.offset,
        since=visit.moment("from"),
        before=visit.moment("to"),
        environments=[environment] if environment else [],
        horizon=visit.engine.events.horizon(),
    )

    def read() -> tuple[list[tuple[sqlite3.Row, SessionFigures | None]], int]:
        with visit.engine.events.connection() as connection:
            rows, total = find_sessions(connection, query)
            return [
                (row, session_figures(connection, query.project, row["id"], query.horizon)) for row in rows
            ], total

    found, total = await run_in_threadpool(read)
    filters = {name: visit.text(name) for name in ("environment", "from", "to")}
    values: dict[str, Any] = {"section": "sessions", "sessions": found, "filters": filters}
    return View("sessions.html", values | {"paging": page.values(visit, total, "sessions", **filters)})


async def session(visit: Visit) -> Answer:
    """Show the traces of one session with what went in and came out, oldest first."""
    session_id = visit.params["sessionId"]
    project, horizon = visit.project_key, visit.engine.events.horizon()

    def read() -> SessionFigures | None:
        with visit.engine.events.connection() as connection:
            return session_figures(connection, project, session_id, horizon)

    figures = await run_in_threadpool(read)
    if figures is None:
        raise not_found("session")
    query = OverviewQuery(
        project=project,
        limit=_TRACES_PER_PAGE + 1,
        after=place_of(visit.text("after")),
        oldest_first=True,
        whole=True,
        horizon=horizon,
        session_id=session_id,
    )
    found = await overview(visit, query)
    page = found[:_TRACES_PER_PAGE]
    following = place_text(page[-1].place) if len(found) > _TRACES_PER_PAGE else None
    values = {
        "section": "sessions",
        "session_id": session_id,
        "figures": figures,
        "turns": [
            (
                one,
                content_of(one.body.input if one.body else None),
                content_of(one.body.output if one.body else None),
            )
            for one in page
        ],
        "is_first_page": query.after is None,
        "first_url": project_url(visit.project_id, "sessions", session_id),
        "next_url": project_url(visit.project_id, "sessions", session_id, after=following),
        "has_next": following is not None,
    }
    return View("session.html", values)


PAGES = (
    Page("/project/{projectId}/sessions", session_list),
    Page("/project/{projectId}/sessions/{sessionId}", session),
)
