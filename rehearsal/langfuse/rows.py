"""Rows of ClickHouse, from what came in: one for each span, one for each score."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from langfuse_embedded.clock import now_ms
from langfuse_embedded.otlp.event import Event
from langfuse_embedded.otlp.from_json import decode_json
from langfuse_embedded.otlp.mapping import map_batch
from langfuse_embedded.store.score_rows import Score

REFUSED = "rehearsal.refused"
"""An attribute of spans whose row ClickHouse refuses."""


def event_rows(project_id: str, key: str, resource_spans: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of `events_full` for an export that is kept under `key`. Raises DecodeError."""
    now = now_ms()
    body = json.dumps({"resourceSpans": resource_spans}).encode()
    events = map_batch(decode_json(body), now_ms=now)
    sources = [json.dumps(one) for one in _single_spans(resource_spans)]
    return [
        {
            "project_id": project_id,
            **_columns(event),
            # A count that ClickHouse cannot read: scenarios ask for it by this attribute.
            **({"usage_details": {"refused": -1}} if REFUSED in source else {}),
            "blob_storage_file_path": key,
            "event_bytes": len(source),
            "event_ts": _time(now),
            "rehearsal_source": source,
        }
        for event, source in zip(events, sources, strict=True)
    ]


def score_row(project_id: str, score: Score) -> dict[str, Any]:
    """Return the row of `scores` for a score as the engine keeps it."""
    return {
        "id": score["id"],
        "timestamp": _time(score["timestamp"]),
        "project_id": project_id,
        "trace_id": score["trace_id"],
        "session_id": score["session_id"],
        "dataset_run_id": score["experiment_id"],
        "observation_id": score["observation_id"],
        "environment": score["environment"],
        "name": score["name"],
        "value": score["value"] or 0,
        "source": score["source"],
        "comment": score["comment"],
        "metadata": score["metadata"],
        "author_user_id": score["author_user_id"],
        "config_id": score["config_id"],
        "data_type": score["data_type"],
        "string_value": score["string_value"],
        "queue_id": score["queue_id"],
        "event_ts": _time(now_ms()),
        "rehearsal_source": json.dumps(score),
    }


def file_row(project_id: str, entity_type: str, entity_id: str, bucket: str, key: str) -> dict[str, Any]:
    """Return the row of `blob_storage_file_log` that leads from something to its object."""
    event_id = key.rsplit("/", 1)[-1].removesuffix(".json")
    return {
        "id": event_id,
        "project_id": project_id,
        "entity_type": entity_type,
        "entity_id": entity_id,
        "event_id": event_id,
        "bucket_name": bucket,
        "bucket_path": key,
        "event_ts": _time(now_ms()),
    }


def json_lines(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as ClickHouse's format JSONEachRow."""
    return "\n".join(json.dumps(row) for row in rows)


def _columns(event: Event) -> Mapping[str, Any]:
    experiment = event.experiment
    return {
        "trace_id": event.trace_id,
        "span_id": event.span_id,
        "parent_span_id": event.parent_span_id or "",
        "start_time": _time(event.start_time),
        "end_time": _time(event.end_time) if event.end_time is not None else None,
        "name": event.name,
        "type": event.type,
        "environment": event.environment,
        "version": event.version or "",
        "release": event.release or "",
        "trace_name": event.trace_name or "",
        "user_id": event.user_id or "",
        "session_id": event.session_id or "",
        "tags": event.tags,
        "level": event.level,
        "status_message": event.status_message or "",
        "public": event.public,
        "is_app_root": event.is_app_root,
        "prompt_name": event.prompt_name or "",
        "prompt_version": event.prompt_version,
        "provided_model_name": event.model_name or "",
        "model_parameters": event.model_parameters,
        "provided_usage_details": event.usage,
        "usage_details": event.usage,
        "provided_cost_details": event.cost,
        "cost_details": event.cost,
        "tool_definitions": event.tool_definitions,
        "tool_calls": event.tool_calls,
        "tool_call_names": event.tool_call_names,
        "input": event.input or "",
        "output": event.output or "",
        "metadata_names": [name for name, _ in event.metadata],
        "metadata_values": [value for _, value in event.metadata],
        "experiment_id": experiment.id if experiment else "",
        "experiment_name": (experiment.name or "") if experiment else "",
        "experiment_dataset_id": (experiment.dataset_id or "") if experiment else "",
        "experiment_item_id": (experiment.item_id or "") if experiment else "",
        "source": "otel",
        "service_name": event.service_name or "",
        "service_version": event.service_version or "",
        "scope_name": event.scope_name or "",
        "scope_version": event.scope_version or "",
        "telemetry_sdk_language": event.telemetry_sdk_language or "",
        "telemetry_sdk_name": event.telemetry_sdk_name or "",
        "telemetry_sdk_version": event.telemetry_sdk_version or "",
    }


def _single_spans(resource_spans: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield each span in a resourceSpans of its own, in their order."""
    for resource in resource_spans:
        for scope in resource.get("scopeSpans") or ():
            for span in scope.get("spans") or ():
                yield {**resource, "scopeSpans": [{**scope, "spans": [span]}]}


def _time(milliseconds: int) -> str:
    # Text: newer servers refuse whole numbers for such columns.
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
