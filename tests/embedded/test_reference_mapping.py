"""The mapper turns recorded OTLP batches into the events and the rows that a recorded server made of them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from langfuse_embedded.otlp.decode import DecodeError, decode_json, decode_protobuf
from langfuse_embedded.otlp.event import Event, Experiment
from langfuse_embedded.otlp.mapping import map_batch
from langfuse_embedded.pricing.book import PriceBook
from langfuse_embedded.pricing.builtin import builtin_models
from tests.accepted_differences import require_accepted
from tests.unit.pricing.builders import Source

_NOW = 1_800_000_000_000
_SUITE = "otel_mapping"
_NOT_MAPPED_HERE = {
    "model_id",
    "prompt_id",
    "usage_pricing_tier_id",
    "usage_pricing_tier_name",
    "cost_details",
    "provided_usage_details",
    "providedUsageDetails",
    "promptVersion",
    "experimentItemVersion",
    "ingestion_sdk_name",
    "ingestion_sdk_version",
}
"""What price list, prompt lookup and the request fill in, or what is compared under its column's name."""


def test_batches_become_the_recorded_events_and_rows(reference_dir: Path) -> None:
    lines = (reference_dir / "vectors" / "otel_mapping.jsonl").read_text("ascii").splitlines()
    cases = [case for case in map(json.loads, lines) if not case["name"].startswith("transport/")]
    differences = {}
    for case in cases:
        found = list(_differences(case))
        if found:
            differences[case["name"]] = found
    assert len(cases) == 500
    require_accepted(_SUITE, differences)


def test_bodies_that_are_no_trace_export_are_refused_with_the_recorded_texts(reference_dir: Path) -> None:
    lines = (reference_dir / "vectors" / "otel_mapping.jsonl").read_text("ascii").splitlines()
    cases = {case["name"]: case for case in map(json.loads, lines)}
    for name, decode in (("json_null", decode_json), ("ct_protobuf_json", decode_protobuf)):
        case = cases[f"transport/{name}"]
        with pytest.raises(DecodeError) as refused:
            decode(json.dumps(case["request"]["body"]).encode())
        assert str(refused.value) == case["expected"]["body"]["error"]


def _differences(case: dict[str, Any]) -> Iterator[str]:
    expected = case["expected"]
    answers = expected.get("http", [{"status": 200}] * len(case["request"]["batches"]))
    events: list[Event] = []
    for batch, answer in zip(case["request"]["batches"], answers, strict=True):
        try:
            events += map_batch(_decode(batch), now_ms=_NOW)
            error = None
        except DecodeError as refused:
            error = str(refused)
        wanted = answer.get("body", {}).get("error") if answer["status"] != 200 else None
        if error != wanted:
            yield f"answer: expected {wanted!r}, got {error!r}"
    if "worker_error" in expected:
        # The recorded server lost the batch after its answer; ours keeps what it could read.
        if not events:
            yield "lost the batch"
        return
    yield from _compare("event", expected.get("events", []), events, _event_fields)
    last = {event.span_id: event for event in events}
    rows = expected.get("stored", [])
    yield from _compare("row", rows, [last[row["span_id"]] for row in rows], _row_columns)


def _decode(batch: dict[str, Any]) -> Any:
    if batch["encoding"] == "protobuf":
        return decode_protobuf(base64.b64decode(batch["body_base64"]))
    return decode_json(json.dumps(batch["body"]).encode())


def _compare(what: str, expected: list[dict[str, Any]], events: list[Event], view: Any) -> Iterator[str]:
    if len(expected) != len(events):
        yield f"{len(expected)} {what}s expected, got {len(events)}"
        return
    for wanted, event in zip(expected, events, strict=True):
        got = view(event)
        for key in sorted(wanted.keys() | got.keys()):
            if key not in _NOT_MAPPED_HERE and not _equal(key, wanted.get(key), got.get(key)):
                yield f"{what} {key}: expected {wanted.get(key)!r}, got {got.get(key)!r}"


def _equal(key: str, wanted: Any, got: Any) -> bool:
    if key == "completionStartTime":
        return _milliseconds(wanted) == got
    if key in {"startTimeISO", "endTimeISO", "start_time", "end_time", "completion_start_time"}:
        return wanted == got or (wanted == "<now>" and got == _iso(_NOW, key))
    if key in {"input", "output", "modelParameters"} and not isinstance(wanted, str) and wanted is not None:
        return bool(wanted == json.loads(got or "null"))
    if key == "metadata":
        return bool(list(_flat(wanted)) == got)
    if key in {"provided_cost_details", "providedCostDetails"}:
        numbers = {
            kind: cost if isinstance(cost, (int, float)) else 0 for kind, cost in (wanted or {}).items()
        }
        return (got or {}) == pytest.approx(numbers, abs=2e-6)
    if key in {"version", "statusMessage", "traceName", "name"} and not isinstance(wanted, str) and wanted:
        return bool(got == json.dumps(wanted, separators=(",", ":")))
    # Absent, null, empty and false are one in the store's columns.
    return (wanted or None) == (got or None)


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        path = prefix + key
        if isinstance(value, dict):
            yield from _flat(value, f"{path}.")
        elif isinstance(value, str) or value is None:
            yield path, value or ""
        else:
            yield path, json.dumps(value, separators=(",", ":"), ensure_ascii=False).replace(".0", "")


def _iso(milliseconds: int, key: str) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return (
        moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        if key.endswith("ISO")
        else _column_time(milliseconds)
    )


def _column_time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def _milliseconds(recorded: Any) -> int | None:
    if isinstance(recorded, str):
        moment = datetime.fromisoformat(recorded)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    return recorded if recorded is None else int(recorded)


def _event_fields(event: Event) -> dict[str, Any]:
    """Return an event under the names of the recorded mapper."""
    run = event.experiment or Experiment(id="")
    return {
        "traceId": event.trace_id,
        "spanId": event.span_id,
        "parentSpanId": event.parent_span_id,
        "name": event.name,
        "type": event.type,
        "environment": event.environment,
        "version": event.version,
        "release": event.release,
        "startTimeISO": _iso(event.start_time, "startTimeISO"),
        "endTimeISO": _iso(event.end_time or 0, "endTimeISO"),
        "level": event.level,
        "statusMessage": event.status_message,
        "promptName": event.prompt_name,
        "modelName": event.model_name,
        "modelParameters": event.model_parameters,
        "completionStartTime": event.completion_start_time,
        "providedCostDetails": event.cost,
        "tags": event.tags,
        "public": event.public,
        "isAppRoot": event.is_app_root,
        "traceName": event.trace_name,
        "userId": event.user_id,
        "sessionId": event.session_id,
        "input": event.input,
        "output": event.output,
        "metadata": event.metadata,
        "serviceName": event.service_name,
        "serviceVersion": event.service_version,
        "scopeName": event.scope_name,
        "scopeVersion": event.scope_version,
        "telemetrySdkLanguage": event.telemetry_sdk_language,
        "telemetrySdkName": event.telemetry_sdk_name,
        "telemetrySdkVersion": event.telemetry_sdk_version,
        "toolDefinitions": event.tool_definitions,
        "toolCalls": event.tool_calls,
        "toolCallNames": event.tool_call_names,
        "experimentId": run.id,
        "experimentName": run.name,
        "experimentDescription": run.description,
        "experimentDatasetId": run.dataset_id,
        "experimentItemId": run.item_id,
        "experimentItemRootSpanId": run.item_root_span_id,
        "experimentItemExpectedOutput": run.item_expected_output,
        "experimentMetadataNames": [name for name, _ in run.metadata],
        "experimentMetadataValues": [value for _, value in run.metadata],
        "experimentItemMetadataNames": [name for name, _ in run.item_metadata],
        "experimentItemMetadataValues": [value for _, value in run.item_metadata],
    }


@cache
def _price_book() -> PriceBook:
    """Return the built-in models, whose tokenizers count what a client did not report."""
    book = PriceBook(Source(builtin=builtin_models(date(2026, 1, 1))[0]))
    book.refresh()
    return book


def _row_columns(event: Event) -> dict[str, Any]:
    """Return an event under the names of the recorded table's columns."""
    run = event.experiment or Experiment(id="")
    completion = event.completion_start_time
    return {
        "span_id": event.span_id,
        "parent_span_id": event.parent_span_id,
        "name": event.name,
        "type": event.type,
        "environment": event.environment,
        "version": event.version,
        "release": event.release,
        "start_time": _column_time(event.start_time),
        "end_time": _column_time(event.end_time or 0),
        "level": event.level,
        "status_message": event.status_message,
        "prompt_name": event.prompt_name,
        "prompt_version": event.prompt_version,
        "provided_model_name": event.model_name,
        "model_parameters": event.model_parameters,
        "completion_start_time": None if completion is None else _column_time(completion),
        "usage_details": _price_book().price("reference", event).usage,
        "provided_cost_details": event.cost,
        "tags": event.tags,
        "public": event.public,
        "is_app_root": event.is_app_root,
        "trace_name": event.trace_name,
        "user_id": event.user_id,
        "session_id": event.session_id,
        "input": event.input,
        "output": event.output,
        "metadata_names": [name for name, _ in event.metadata],
        "metadata_values": [value for _, value in event.metadata],
        "service_name": event.service_name,
        "service_version": event.service_version,
        "scope_name": event.scope_name,
        "scope_version": event.scope_version,
        "telemetry_sdk_language": event.telemetry_sdk_language,
        "telemetry_sdk_name": event.telemetry_sdk_name,
        "telemetry_sdk_version": event.telemetry_sdk_version,
        "tool_definitions": event.tool_definitions,
        "tool_calls": event.tool_calls,
        "tool_call_names": event.tool_call_names,
        "experiment_id": run.id,
        "experiment_name": run.name,
        "experiment_description": run.description,
        "experiment_dataset_id": run.dataset_id,
        "experiment_item_id": run.item_id,
        "experiment_item_root_span_id": run.item_root_span_id,
        "experiment_item_expected_output": run.item_expected_output,
        "experiment_metadata_names": [name for name, _ in run.metadata],
        "experiment_metadata_values": [value for _, value in run.metadata],
        "experiment_item_metadata_names": [name for name, _ in run.item_metadata],
        "experiment_item_metadata_values": [value for _, value in run.item_metadata],
    }
