"""Exported observations as OTLP/JSON: the way in that every Langfuse server has, with ids as they were."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from scripts.api.client import Row

_TEXTS = {
    "langfuse.observation.type": "type",
    "langfuse.observation.input": "input",
    "langfuse.observation.output": "output",
    "langfuse.observation.level": "level",
    "langfuse.observation.status_message": "statusMessage",
    "langfuse.observation.model.name": "model",
    "langfuse.observation.completion_start_time": "completionStartTime",
    "langfuse.observation.prompt.name": "promptName",
    "langfuse.trace.name": "traceName",
    "langfuse.user.id": "userId",
    "langfuse.session.id": "sessionId",
    "langfuse.environment": "environment",
    "langfuse.release": "release",
    "langfuse.version": "version",
}
_JSON = {
    "langfuse.observation.model.parameters": "modelParameters",
    "langfuse.observation.usage_details": "usageDetails",
    "langfuse.observation.cost_details": "costDetails",
    "langfuse.trace.tags": "tags",
}
# The server adds these to the metadata of every span itself, from what the export says of its source.
_RESOURCE, _SCOPE = "resourceAttributes.", "scope."
_ATTRIBUTES = "attributes."
"""And these to the metadata of spans of other scopes than Langfuse's SDKs: what it does not read itself."""
_SDK = "langfuse-sdk"


def export_of(rows: Iterable[Row], more: Mapping[str, Row] | None = None) -> Row:
    """Return one trace export with these observations; `more` are attributes of a trace's observations."""
    groups: dict[str, tuple[Row, Row, list[Row]]] = {}
    for row in rows:
        metadata = parsed(row.get("metadata")) or {}
        resource, scope = _below(metadata, _RESOURCE), _below(metadata, _SCOPE)
        key = json.dumps([resource, scope], sort_keys=True)
        own = not str(scope.get("name") or _SDK).startswith(_SDK)
        further = (more or {}).get(row["traceId"], {})
        groups.setdefault(key, (resource, scope, []))[2].append(_span(row, metadata, further, plain=own))
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": _attributes(resource)},
                "scopeSpans": [
                    {
                        "scope": {
                            "name": str(scope.get("name") or _SDK),
                            "version": str(scope.get("version") or ""),
                            "attributes": _attributes(_below(scope, "attributes.")),
                        },
                        "spans": spans,
                    }
                ],
            }
            for resource, scope, spans in groups.values()
        ]
    }


def _below(values: Mapping[str, Any], prefix: str) -> Row:
    return {key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)}


def _span(row: Row, metadata: Mapping[str, Any], more: Row, *, plain: bool) -> Row:
    attributes: dict[str, Any] = {key: row[name] for key, name in _TEXTS.items() if row.get(name)} | more
    for key, name in _JSON.items():
        value = parsed(row.get(name))
        if value:
            attributes[key] = value if isinstance(value, list) else json.dumps(value)
    attributes["langfuse.observation.type"] = str(row["type"]).lower()
    if row.get("promptVersion") not in (None, ""):
        attributes["langfuse.observation.prompt.version"] = int(row["promptVersion"])
    if str(row.get("public")).lower() == "true":
        attributes["langfuse.trace.public"] = True
    others = {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in metadata.items()
        if not key.startswith((_RESOURCE, _SCOPE))
    }
    if plain:
        # What its sender called `attributes` takes the place of those that carry it here.
        attributes["langfuse.observation.metadata"] = json.dumps({"attributes": _below(others, _ATTRIBUTES)})
        others = {key: text for key, text in others.items() if not key.startswith(_ATTRIBUTES)}
    attributes |= {f"langfuse.observation.metadata.{key}": text for key, text in others.items()}
    span = {
        "traceId": row["traceId"],
        "spanId": row["id"],
        "name": row.get("name") or "",
        "kind": 1,
        "startTimeUnixNano": _nanoseconds(row["startTime"]),
        "endTimeUnixNano": _nanoseconds(row.get("endTime") or row["startTime"]),
        "attributes": _attributes(attributes),
        "status": {},
    }
    if row.get("parentObservationId"):
        span["parentSpanId"] = row["parentObservationId"]
    return span


def parsed(value: Any) -> Any:
    """Return a nested value, which Parquet and CSV hold as JSON text; None for a text that is not JSON."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return None


def json_value(value: Any) -> Any:
    """Return a value; a table holds it as JSON, and a text that is not JSON is itself."""
    found = parsed(value)
    return value if found is None else found


def _nanoseconds(text: str) -> str:
    moment = datetime.fromisoformat(text)
    return str(round(moment.timestamp() * 1000) * 1_000_000)


def _attributes(values: Mapping[str, Any]) -> list[Row]:
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def _value(value: Any) -> Row:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_value(one) for one in value]}}
    return {"stringValue": value if isinstance(value, str) else json.dumps(value)}
