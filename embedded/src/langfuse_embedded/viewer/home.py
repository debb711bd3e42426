"""The front page: the projects of whoever signed in."""

from __future__ import annotations

from starlette.responses import RedirectResponse

from .urls import project_url
from .visit import Answer, Page, View, Visit


async def projects(visit: Visit) -> Answer:
    """Show the projects, or lead on to the only one."""
    if len(visit.projects) == 1:
        return RedirectResponse(project_url(visit.projects[0].id, "traces"), 303)
    return View("projects.html")


async def project(visit: Visit) -> Answer:
    """Lead on to the traces of a project."""
    return RedirectResponse(project_url(visit.project_id, "traces"), 303)


PAGES = (Page("/", projects), Page("/project/{projectId}", project))
