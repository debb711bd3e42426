"""Liveness and readiness."""

from __future__ import annotations

from starlette.responses import Response

from langfuse_embedded import SERVER_VERSION
from langfuse_embedded.http.call import Call, json_response
from langfuse_embedded.http.operations import Access, Operation


async def health(call: Call) -> Response:
    """Answer whether a write would be answered and kept, as of the last second."""
    problem = call.engine.watch.problem
    if not problem and call.request.query_params.get("failIfDatabaseUnavailable") == "true":
        call.engine.state.version()
    answer = {"status": problem or "OK", "version": call.engine.config.compat or SERVER_VERSION}
    return json_response(answer, 503 if problem else 200)


def _any_method(path: str, operation_id: str) -> list[Operation]:
    # The server looks at the path alone here: a POST is as healthy as a GET.
    return [
        Operation(method, path, health, operation_id if method == "GET" else "", Access.PUBLIC)
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
    ]


OPERATIONS = [*_any_method("/api/public/health", "health_health"), *_any_method("/api/public/ready", "")]
