"""Users: who they are in what was sent, with what they did and what it cost."""

from __future__ import annotations

from typing import Any

from starlette.responses import RedirectResponse

from langfuse_embedded.clock import iso

from .list_page import ListPage
from .tables import USERS, Keyed
from .urls import project_url
from .visit import Answer, Page, View, Visit

_CSV = ("user", "first_seen", "last_seen", "traces", "observations", "errors", "total_tokens", "cost_usd")


async def user_list(visit: Visit) -> Answer:
    """Show users, those seen first last or in the order asked for; or give them as a file."""
    page = ListPage(visit, USERS)

    def read() -> tuple[list[Keyed], dict[str, Any]]:
        query = page.query()
        part = page.slice(query)
        return list(part.rows), {} if page.is_csv else page.values(part, query)

    rows, values = await visit.read(read)
    if page.is_csv:
        return page.csv(_CSV, [_cells(one) for one in rows])
    kept = {name: page.filters.texts[name] for name in ("range", "from", "to")}
    urls = {
        name: [project_url(visit.project_id, name, user=one.key, **kept) for one in rows]
        for name in ("traces", "sessions")
    }
    return View(
        "users.html", values | {"rows": list(zip(rows, urls["traces"], urls["sessions"], strict=True))}
    )


async def user(visit: Visit) -> Answer:
    """Lead on from the server's address of a user to the traces of that user."""
    return RedirectResponse(project_url(visit.project_id, "traces", user=visit.params["userId"]), 303)


def _cells(one: Keyed) -> list[Any]:
    return [
        one.key, iso(one.began), iso(one.ended), one.traces, one.observations, one.errors, one.tokens,
        one.cost,
    ]  # fmt: skip


PAGES = (
    Page("/project/{projectId}/users", user_list),
    Page("/project/{projectId}/users/{userId}", user),
)
