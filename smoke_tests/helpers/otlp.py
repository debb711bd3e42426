"""Build OTLP/JSON requests by hand, as senders without any SDK do."""

from __future__ import annotations

import os
import secrets
import time
from typing import Any

from smoke_tests.helpers.erasing import ENVIRONMENT

PATH = "/api/public/otel/v1/traces"


def new_trace_id() -> str:
    """Return a random trace id: 32 hexadecimal digits."""
    return secrets.token_hex(16)


def new_span_id() -> str:
    """Return a random span id: 16 hexadecimal digits."""
    return secrets.token_hex(8)


def export_request(*spans: dict[str, Any]) -> dict[str, Any]:
    """Return the body of an export request with one resource and one scope."""
    about = {
        "service.name": "smoke-tests",
        "langfuse.environment": ENVIRONMENT,
        "langfuse.release": os.environ.get("LANGFUSE_RELEASE", "smoke"),
    }
    resource = {"attributes": [{"key": key, "value": {"stringValue": value}} for key, value in about.items()]}
    scope = {"name": "smoke-tests", "version": "1"}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": scope, "spans": list(spans)}]}]}


def span(trace_id: str, name: str, attributes: dict[str, str | int], **fields: Any) -> dict[str, Any]:
    """Return a span that ends now and took 10 ms."""
    now_ns = time.time_ns()
    return {
        "traceId": trace_id,
        "spanId": new_span_id(),
        "name": name,
        "kind": 1,
        "startTimeUnixNano": str(now_ns - 10_000_000),
        "endTimeUnixNano": str(now_ns),
        "attributes": [{"key": key, "value": _any_value(value)} for key, value in attributes.items()],
        **fields,
    }


def _any_value(value: str | int) -> dict[str, str]:
    """OTLP/JSON writes 64-bit integers as decimal strings."""
    return {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}
