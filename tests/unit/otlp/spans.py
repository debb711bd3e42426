"""Spans for the mapper's tests, written as plain Python values."""

from __future__ import annotations

import json
from typing import Any

from langfuse_embedded.otlp.decode import decode_json
from langfuse_embedded.otlp.event import Event
from langfuse_embedded.otlp.mapping import map_batch

NOW = 1_800_000_000_000
START = 1_768_471_200_000
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
SPAN_ID = "b7ad6b7169203331"


def any_value(value: Any) -> Any:
    """Return a value in OTLP/JSON; a dict is taken for the wrapper itself."""
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [any_value(item) for item in value]}}
    return value if isinstance(value, dict) else {"stringValue": value}


def key_values(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    """Return attributes as OTLP/JSON lists them."""
    return [{"key": key, "value": any_value(value)} for key, value in attributes.items()]


def span(attributes: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """Return a span of a tenth of a second; `fields` replace or add OTLP fields."""
    return {
        "traceId": TRACE_ID,
        "spanId": SPAN_ID,
        "name": "work",
        "startTimeUnixNano": str(START * 1_000_000),
        "endTimeUnixNano": str((START + 100) * 1_000_000),
        "attributes": key_values(attributes or {}),
        **fields,
    }


def export(
    *spans: Any, scope: Any = "acme-app", version: str = "1.0", resource: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return an export of one resource and one scope."""
    scope = {"name": scope, "version": version} if isinstance(scope, str) else scope
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": key_values(resource or {})},
                "scopeSpans": [{"scope": scope, "spans": list(spans)}],
            }
        ]
    }


def mapped_all(document: Any) -> list[Event]:
    """Return the events of an OTLP/JSON document."""
    return map_batch(decode_json(json.dumps(document).encode()), now_ms=NOW)


def mapped(
    attributes: dict[str, Any] | None = None,
    *,
    scope: Any = "acme-app",
    version: str = "1.0",
    resource: dict[str, Any] | None = None,
    events: list[tuple[str, dict[str, Any]]] | None = None,
    **fields: Any,
) -> Event:
    """Return the event of one span."""
    if events is not None:
        fields["events"] = [{"name": name, "attributes": key_values(values)} for name, values in events]
    (event,) = mapped_all(export(span(attributes, **fields), scope=scope, version=version, resource=resource))
    return event


def sdk(attributes: dict[str, Any] | None = None, **fields: Any) -> Event:
    """Return the event of one span of the Langfuse SDK."""
    return mapped(attributes, scope="langfuse-sdk", version="5.0.4", **fields)
