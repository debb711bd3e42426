"""Feedback to Langfuse: a self-hosted server without a sink refuses it, and so does the engine."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.responses import Response

from langfuse_embedded.http.errors import Conflict
from langfuse_embedded.http.schema import Enum, Object, String

from .call import Call
from .operations import Operation


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc)


_SUBMIT = Object(
    {
        "targetType": Enum("skill", "mcp-tool", "cli", "docs", "public-api", "other"),
        "target": String(trim=True, min=1, max=200),
        "feedback": String(trim=True, min=1, max=3000),
        "goal": String(trim=True, min=1, max=1500).optional(),
        "referenceUrl": String(max=2048).refine(_is_http, "referenceUrl must use http or https").optional(),
    },
    strict=True,
)


async def submit_feedback(call: Call) -> Response:
    """Check the feedback and refuse it: nothing leaves this machine."""
    await call.json(_SUBMIT)
    raise Conflict("Feedback submission is not configured for this deployment")


OPERATIONS = [
    Operation("POST", "/api/public/feedback", submit_feedback, "feedback_submit", body_limit=16 * 1024)
]
