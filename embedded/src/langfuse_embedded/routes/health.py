"""Liveness and readiness."""

from __future__ import annotations

from starlette.responses import Response

from langfuse_embedded import SERVER_VERSION
from langfuse_embedded.clock import now_ms
from langfuse_embedded.http.access import Access
from langfuse_embedded.http.json_answers import json_response
from langfuse_embedded.store.observation_rows import TRACE_ROOT

from .call import Call
from .operations import Handler, Operation

_RECENT_MS = 3 * 60_000
_RECENT = (
    "select exists (select 1 from projects p join observations o on o.project = p.key"
    " where o.start_time between ?1 - ?2 and ?1 and (?3 or typeof(o.span_id) <> 'text'"
    " or substr(o.span_id, 1, 2) <> ?4))"
)


async def health(call: Call) -> Response:
    """Answer whether a write would be answered and kept, as of the last second.

    `failIfDatabaseUnavailable=true` also asks the store, `failIfNoRecentEvents=true` for an observation that
    began within three minutes, of any project.
    """
    if problem := call.engine.watch.problem:
        return _answer(call, problem, 503)
    asked = call.request.query_params
    if asked.get("failIfDatabaseUnavailable") == "true":
        call.engine.state.version()
    missing = _missing(call) if asked.get("failIfNoRecentEvents") == "true" else None
    if missing:
        return _answer(call, f"No {missing} within the last 3 minutes", 503)
    return _answer(call)


async def ready(call: Call) -> Response:
    """Answer whether requests are served."""
    problem = call.engine.watch.problem
    return _answer(call, problem, 503) if problem else _answer(call)


def _answer(call: Call, status: str = "OK", code: int = 200) -> Response:
    return json_response({"status": status, "version": call.engine.config.compat or SERVER_VERSION}, code)


def _missing(call: Call) -> str | None:
    if call.engine.config.events_only:
        return None if _is_recent(call, with_trace_roots=True) else "events"
    if not _is_recent(call, with_trace_roots=True):
        return "traces"
    return None if _is_recent(call, with_trace_roots=False) else "observations"


def _is_recent(call: Call, *, with_trace_roots: bool) -> bool:
    values = (now_ms(), _RECENT_MS, with_trace_roots, TRACE_ROOT)
    return bool(call.engine.events.db.execute(_RECENT, values).fetchone()[0])


def _any_method(path: str, handler: Handler, operation_id: str) -> list[Operation]:
    # The server looks at the path alone here: a POST is as healthy as a GET.
    return [
        Operation(method, path, handler, operation_id if method == "GET" else "", Access.PUBLIC)
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
    ]


OPERATIONS = [
    *_any_method("/api/public/health", health, "health_health"),
    *_any_method("/api/public/ready", ready, ""),
]
