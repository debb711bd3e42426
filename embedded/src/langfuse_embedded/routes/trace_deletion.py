"""Delete traces: their observations, their scores and what judges noted of them, at once and for good."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from langfuse_embedded.clock import now_ms
from langfuse_embedded.http.json_answers import json_response
from langfuse_embedded.http.schema import Array, Object, String
from langfuse_embedded.judge.jobs import forget_traces

from .call import Call
from .operations import Operation

_TRACE_IDS = Object(
    {
        "traceIds": Array(
            String(),
            min=1,
            max=1000,
            min_message="At least 1 traceId is required.",
            max_message="Cannot specify more than 1000 traces in a single request.",
        )
    },
    strict=True,
)
_SLICE = 100


async def delete_trace(call: Call) -> Response:
    """Delete one trace. As on the server it is not an error when there is none."""
    await _delete(call, [call.params["traceId"]])
    return json_response({"message": "Trace deleted successfully"})


async def delete_traces(call: Call) -> Response:
    """Delete the traces named in the body."""
    body = await call.json(_TRACE_IDS)
    await _delete(call, body["traceIds"])
    return json_response({"message": "Traces deleted successfully"})


async def _delete(call: Call, trace_ids: list[str]) -> None:
    for begin in range(0, len(trace_ids), _SLICE):
        # In slices: what others send is stored between them.
        ids = trace_ids[begin : begin + _SLICE]
        await call.engine.writer.submit("delete_traces", {"project": call.project_id, "ids": ids})
        # After the observations: without them nothing is scheduled again.
        await run_in_threadpool(forget_traces, call.engine.config.data_dir, call.project_id, ids, now_ms())


OPERATIONS = [
    Operation("DELETE", "/api/public/traces/{traceId}", delete_trace, "trace_delete"),
    Operation("DELETE", "/api/public/traces", delete_traces, "trace_deleteMultiple"),
]
