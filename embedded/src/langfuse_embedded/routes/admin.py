"""What an operator asks with the admin key: queues, and API keys of projects."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response

from langfuse_embedded.http.access import Access, ErrorStyle
from langfuse_embedded.http.errors import InvalidData
from langfuse_embedded.http.json_answers import json_response
from langfuse_embedded.http.schema import Array, Enum, Literal, Object, Schema, String, Tagged

from .call import Call
from .operations import Operation

_INGESTION = "otel-ingestion-queue"
# The server's queues in its order. Those with False exist on Langfuse Cloud alone and show no counts.
_QUEUES = {
    "trace-upsert": True,
    "trace-delete": True,
    "project-delete": True,
    "evaluation-execution-queue": True,
    "secondary-evaluation-execution-queue": True,
    "llm-as-a-judge-execution-queue": True,
    "code-eval-execution-queue": True,
    "dataset-run-item-upsert-queue": True,
    "batch-export-queue": True,
    _INGESTION: True,
    "secondary-otel-ingestion-queue": True,
    "ingestion-queue": True,
    "secondary-ingestion-queue": True,
    "cloud-usage-metering-queue": False,
    "cloud-spend-alert-queue": False,
    "cloud-free-tier-usage-threshold-queue": False,
    "experiment-create-queue": True,
    "posthog-integration-queue": True,
    "posthog-integration-processing-queue": True,
    "mixpanel-integration-queue": True,
    "mixpanel-integration-processing-queue": True,
    "blobstorage-integration-queue": True,
    "blobstorage-integration-processing-queue": True,
    "core-data-s3-export-queue": False,
    "metering-data-postgres-export-queue": False,
    "data-retention-queue": True,
    "data-retention-processing-queue": True,
    "batch-action-queue": True,
    "create-eval-queue": True,
    "score-delete": True,
    "dataset-delete-queue": True,
    "dead-letter-retry-queue": True,
    "webhook-queue": True,
    "entity-change-queue": True,
    "event-propagation-queue": True,
    "notification-queue": True,
    "monitor-queue": True,
    "in-app-agent-run-queue": True,
    "v4-legacy-api-usage-queue": True,
}
_STATES = (
    "active",
    "completed",
    "delayed",
    "failed",
    "paused",
    "prioritized",
    "waiting",
    "waiting-children",
)

_NAMES = {"queueNames": Array(String())}
_MANAGE_QUEUES = Tagged(
    "action",
    {
        "retry": Object({"action": Literal("retry"), **_NAMES}),
        "remove": Object(
            {
                "action": Literal("remove"),
                **_NAMES,
                "bullStatus": Enum(
                    "completed", "failed", "active", "delayed", "prioritized", "paused", "wait"
                ),
            }
        ),
    },
)
_PROJECTS = {"projectIds": Array(String())}
_MANAGE_KEYS = Tagged(
    "action",
    {
        "delete": Object({"action": Literal("delete"), **_PROJECTS}),
        "invalidate": Object({"action": Literal("invalidate"), **_PROJECTS}),
        "invalidate-all": Object({"action": Literal("invalidate-all")}),
    },
)


async def list_queues(call: Call) -> Response:
    """List the server's queues. The engine has one: exports that wait for room before the writer."""
    waiting = {_INGESTION: call.engine.intake.waiting}
    return json_response(
        [
            {"queueName": name, "jobCount": {**dict.fromkeys(_STATES, 0), "waiting": waiting.get(name, 0)}}
            if counted
            else {"queueName": name}
            for name, counted in _QUEUES.items()
        ]
    )


async def manage_queues(call: Call) -> Response:
    """Retry or remove jobs: there are none, and no failed ones, as an export is answered after its commit."""
    body = await _body(call, _MANAGE_QUEUES)
    if isinstance(body, Response):
        return body
    return json_response(
        {"message": "Removed all jobs" if body["action"] == "remove" else "Retried all jobs"}
    )


async def manage_keys(call: Call) -> Response:
    """Delete the keys of projects, or forget what is remembered of them."""
    body = await _body(call, _MANAGE_KEYS)
    if isinstance(body, Response):
        return body
    if body["action"] == "delete":
        with call.engine.state.transaction():
            call.engine.state.tenancy.delete_keys(body["projectIds"])
    forgotten = call.engine.authenticator.forget()
    if body["action"] == "invalidate-all":
        return json_response({"message": "All cached API keys invalidated", "invalidatedCount": forgotten})
    done = "deleted" if body["action"] == "delete" else "invalidated"
    return json_response({"message": f"API keys {done}"})


async def _body(call: Call, schema: Schema) -> Any:
    """Return the body, or the answer to one that does not fit: these routes word it in their own way."""
    try:
        return await call.json(schema)
    except InvalidData as error:
        issues = json.dumps(error.issues, indent=2, ensure_ascii=False)
        return json_response({"error": {"name": "ZodError", "message": issues}}, 400)


OPERATIONS = [
    Operation("GET", "/api/admin/bullmq", list_queues, access=Access.ADMIN, errors=ErrorStyle.ERROR),
    Operation("POST", "/api/admin/bullmq", manage_queues, access=Access.ADMIN, errors=ErrorStyle.ERROR),
    Operation("POST", "/api/admin/api-keys", manage_keys, access=Access.ADMIN, errors=ErrorStyle.ERROR),
]
