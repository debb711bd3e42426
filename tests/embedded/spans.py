"""OTLP/JSON exports for tests: small, readable, with ids of their own."""

from __future__ import annotations

import json
import secrets
import time
from typing import Any

import httpx

TRACES = "/api/public/otel/v1/traces"
OBSERVATIONS = "/api/public/v2/observations"
ALL_GROUPS = "core,basic,time,io,metadata,model,usage,prompt,metrics,trace_context"


def trace_id() -> str:
    """Return a new trace id."""
    return secrets.token_hex(16)


def span_id() -> str:
    """Return a new span id."""
    return secrets.token_hex(8)


def span(trace: str, name: str = "step", **options: Any) -> dict[str, Any]:
    """Return a span; `start` and `duration` are milliseconds, `id`, `parent` and `attributes` as they are."""
    start = options.get("start", time.time_ns() // 1_000_000)
    result = {
        "traceId": trace,
        "spanId": options.get("id") or span_id(),
        "name": name,
        "kind": 1,
        "startTimeUnixNano": str(start * 1_000_000),
        "endTimeUnixNano": str((start + options.get("duration", 10)) * 1_000_000),
        "attributes": [_attribute(key, value) for key, value in options.get("attributes", {}).items()],
        "status": {},
    }
    if "parent" in options:
        result["parentSpanId"] = options["parent"]
    return result


def export(*spans: dict[str, Any]) -> dict[str, Any]:
    """Return an export of the Langfuse SDK that holds these spans."""
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": [_attribute("service.name", "kosmos")]},
                "scopeSpans": [{"scope": {"name": "langfuse-sdk", "version": "5.0.4"}, "spans": list(spans)}],
            }
        ]
    }


def send(client: httpx.Client, *spans: dict[str, Any]) -> None:
    """Export spans; they are stored and readable afterwards."""
    # In ASCII: any text can be sent, also one that is not valid Unicode.
    body = json.dumps(export(*spans)).encode()
    answer = client.post(TRACES, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 200, answer.text


def read(client: httpx.Client, **query: str) -> list[dict[str, Any]]:
    """Return the observations that a query finds, on all pages."""
    found: list[dict[str, Any]] = []
    while True:
        answer = client.get(OBSERVATIONS, params=query)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        found += body["data"]
        if "cursor" not in body["meta"]:
            return found
        query["cursor"] = body["meta"]["cursor"]


def _attribute(key: str, value: Any) -> dict[str, Any]:
    kinds = {bool: "boolValue", int: "intValue", float: "doubleValue", str: "stringValue"}
    if isinstance(value, list):
        return {"key": key, "value": {"arrayValue": {"values": [{"stringValue": one} for one in value]}}}
    return {"key": key, "value": {kinds[type(value)]: value}}
