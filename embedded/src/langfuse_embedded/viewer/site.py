"""Dispatch of pages: find the page, ask for a login, check the project, render, word refusals."""

from __future__ import annotations

import logging

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response

from langfuse_embedded.engine import Engine
from langfuse_embedded.http.router import Router

from . import (
    annotating,
    annotation_queues,
    datasets,
    experiments,
    home,
    login,
    media,
    observations,
    overview,
    prompts,
    scores,
    sessions,
    single_sign_on,
    trace,
    traces,
    users,
)
from .login_cookie import LoginCookie
from .rendering import Renderer
from .urls import sign_in_url
from .visit import Page, PageRefused, View, Visit, not_found

log = logging.getLogger(__name__)

_MODULES = (
    home,
    traces,
    trace,
    annotating,
    media,
    observations,
    overview,
    sessions,
    users,
    scores,
    prompts,
    datasets,
    experiments,
    annotation_queues,
)


class Viewer:
    """The pages of one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._renderer = Renderer()
        self._cookie = LoginCookie(engine.config.session_secret, engine.login_sessions)
        pages = [page for module in _MODULES for page in module.PAGES]
        ways_in = login.LoginPages(engine.config.login, self._cookie).pages
        pages += single_sign_on.SingleSignOnPages(engine.config.login, self._cookie).pages
        self._router: Router[Page] = Router([*ways_in, *pages])

    async def respond(self, request: Request, raw_path: str) -> Response | None:
        """Return what answers a request, or ``None`` when no page has this path."""
        if raw_path in self._renderer.assets:
            return self._renderer.asset(raw_path)
        match = self._router.match(raw_path)
        if match is None:
            return None
        page = match.operations.get("GET" if request.method == "HEAD" else request.method)
        visit = Visit(self._engine, request, match.params)
        try:
            if page is None:
                raise PageRefused(405, "Not possible here", f"This page does not answer {request.method}.")
            return await self._answer(page, visit, raw_path)
        except PageRefused as refusal:
            return await self._refuse(visit, refusal)
        except ClientDisconnect:
            raise
        except Exception:
            log.exception("%s %s failed", request.method, request.url.path)
            return await self._refuse(
                visit, PageRefused(500, "Something went wrong", "The engine's log says what.")
            )

    async def _answer(self, page: Page, visit: Visit, raw_path: str) -> Response:
        if not page.open and not self._recognise(visit):
            query = visit.request.url.query
            target = f"{raw_path}?{query}" if query else raw_path
            return self._renderer.protected(RedirectResponse(sign_in_url(target), 303))
        if "projectId" in visit.params:
            wanted = visit.params["projectId"]
            visit.project = next((project for project in visit.projects if project.id == wanted), None)
            if visit.project is None:
                raise not_found("project")
        answer = await page.handler(visit)
        if isinstance(answer, View):
            return await self._render(visit, answer)
        return self._renderer.protected(answer)

    def _recognise(self, visit: Visit) -> bool:
        tenancy = self._engine.state.tenancy
        user_id = self._cookie.user_id(visit.request.cookies.get(self._cookie.name, ""))
        visit.user = tenancy.user(user_id) if user_id else None
        if visit.user is None:
            return False
        visit.projects = tenancy.projects_of(visit.user.id)
        return True

    async def _refuse(self, visit: Visit, refusal: PageRefused) -> Response:
        values = {"title": refusal.title, "text": refusal.text}
        response = await self._render(visit, View("refusal.html", values, refusal.status))
        response.headers.update(refusal.headers)
        return response

    async def _render(self, visit: Visit, view: View) -> Response:
        values = {
            "user": visit.user,
            "project": visit.project,
            "projects": visit.projects,
            "section": "",
            **view.values,
        }
        # A trace of a thousand spans takes long enough to be felt by other requests.
        return await run_in_threadpool(self._renderer.page, view.template, values, view.status)
