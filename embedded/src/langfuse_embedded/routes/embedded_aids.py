"""What the embedded engine alone has: faults and reset, where a setting allows them, and what judges do."""

from __future__ import annotations

from starlette.responses import Response

from langfuse_embedded.clock import now_ms
from langfuse_embedded.faults import FaultsUnreadable, parse_faults
from langfuse_embedded.http.errors import InvalidRequest, NotFound
from langfuse_embedded.http.json_answers import json_response
from langfuse_embedded.http.schema import Object, String
from langfuse_embedded.judge.jobs import summary
from langfuse_embedded.store.project_reset import reset_state

from .call import Call
from .operations import Operation

_FAULTS = Object({"faults": String()})


async def show_faults(call: Call) -> Response:
    """Return how many requests were hit, by kind of fault, since the list was put into force."""
    _require_faults(call)
    return json_response({"injected": call.engine.faults.injected})


async def replace_faults(call: Call) -> Response:
    """Put the list of faults in the body into force, for all projects."""
    _require_faults(call)
    body = await call.json(_FAULTS)
    try:
        call.engine.faults.replace(parse_faults(body["faults"]))
    except FaultsUnreadable as error:
        raise InvalidRequest(str(error)) from error
    return json_response({"injected": {}})


async def reset_project(call: Call) -> Response:
    """Delete all that the project of the key holds; the project, its keys and its members stay."""
    if not call.engine.config.allow_reset:
        raise NotFound("Start the embedded engine with EMBEDDED_ALLOW_RESET=true to reset projects")
    await call.engine.writer.submit("reset_project", {"project": call.project_id})
    with call.engine.state.transaction():
        media = reset_state(call.engine.state.db, call.project_id)
    for media_id in media:
        call.engine.media.files.remove(call.project_id, media_id)
    return json_response({"message": "Project reset"})


def _require_faults(call: Call) -> None:
    if call.engine.config.faults is None:
        raise NotFound("Start the embedded engine with EMBEDDED_FAULTS=none to inject faults while it runs")


async def show_judge(call: Call) -> Response:
    """Return what the judges of the project have to do, and what they did and cost on this day (UTC)."""
    engine, project = call.engine, call.project_id
    found = await call.read(lambda: summary(engine.config.data_dir, project, now_ms()))
    paused = engine.evaluators.paused(project)
    budget = engine.judge.budget_usd or None
    return json_response({"running": engine.judge.running, **found, "budgetUsd": budget, "paused": paused})


OPERATIONS = [
    Operation("GET", "/api/embedded/judge", show_judge),
    Operation("GET", "/api/embedded/faults", show_faults),
    Operation("PUT", "/api/embedded/faults", replace_faults),
    Operation("POST", "/api/embedded/reset", reset_project),
]
