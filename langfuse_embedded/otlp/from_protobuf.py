"""OTLP in protobuf: bytes to the decoded batch."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from google.protobuf.message import DecodeError as ProtobufError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

from langfuse_embedded.otlp.batch import Attributes, Decoded, DecodeError, Resource, Scope, Span, SpanEvent
from langfuse_embedded.otlp.javascript import dumps
from langfuse_embedded.otlp.rejection import Findings
from langfuse_embedded.otlp.utf8 import repair_utf8

_EXACT = 2**53
_KEYLESS = "undefined"
_EMPTY: dict[str | None, Any] = {"string_value": "", "int_value": 0, "double_value": 0.0, "bool_value": False}
"""What is left to tell apart once no field has said anything."""


def decode_protobuf(body: bytes) -> Decoded:
    """Decode an `ExportTraceServiceRequest`; raise `DecodeError` for other bytes and for unusable spans."""
    request = _parse(body)
    findings = Findings()
    decoded = Decoded(
        [
            Resource(
                _attributes(entry.resource.attributes),
                [_scope(scope, findings) for scope in entry.scope_spans],
            )
            for entry in request.resource_spans
        ]
    )
    message = findings.message()
    if message is not None:
        raise DecodeError(message)
    return decoded


def _parse(body: bytes) -> ExportTraceServiceRequest:
    """Parse the bytes. Texts that are not UTF-8 are repaired, as the reference server does: not refused."""
    try:
        return ExportTraceServiceRequest.FromString(body)
    except ProtobufError:
        pass
    try:
        return ExportTraceServiceRequest.FromString(repair_utf8(body))
    except ProtobufError as error:
        message = "Failed to parse OTel Protobuf Trace"
        raise DecodeError(message) from error


def _scope(message: ScopeSpans, findings: Findings) -> Scope:
    scope = message.scope
    name, version = scope.name or None, scope.version or None
    fields: dict[str, Any] = {}
    if name:
        fields["name"] = name
    if version:
        fields["version"] = version
    fields["attributes"] = _attributes(scope.attributes)
    if scope.dropped_attributes_count:
        fields["droppedAttributesCount"] = scope.dropped_attributes_count
    spans = [_span(span) for span in message.spans]
    findings.spans += len(spans)
    for span in spans:
        reasons = [
            f"{field}:absent"
            for field, value in (("traceId", span.trace_id), ("spanId", span.span_id))
            if not value
        ]
        if reasons:
            findings.reject_span(reasons, name)
    return Scope(name, version, fields, spans)


def _span(message: SpanMessage) -> Span:
    start, end = message.start_time_unix_nano, message.end_time_unix_nano
    events = message.events
    status = message.status
    return Span(
        message.trace_id.hex(),
        message.span_id.hex(),
        message.parent_span_id.hex() or None,
        message.name,
        start // 1_000_000 if start else None,
        end // 1_000_000 if end else None,
        status.code,
        status.message or None,
        _attributes(message.attributes),
        [SpanEvent(event.name, _attributes(event.attributes) or None) for event in events] if events else [],
    )


def _attributes(entries: Iterable[KeyValue]) -> Attributes:
    """Return attribute values by key; of a repeated key the last one, as JavaScript objects do.

    Most values are texts, so the text is read before the question which kind was sent.
    """
    return {entry.key or _KEYLESS: (value := entry.value).string_value or _value(value) for entry in entries}


def _value(value: AnyValue) -> Any:
    """Return a value as the mapper sees it: bytes, maps and no value as the JSON text of their wrapper.

    Fields that were not sent read as empty or zero, so the first that is not was sent; this is cheaper than
    to ask which one was.
    """
    whole = value.int_value
    if whole:
        return whole if -_EXACT <= whole <= _EXACT else float(whole)
    double = value.double_value
    if double:
        return _finite(double)
    items = value.array_value.values
    if items:
        return [item.string_value or _value(item) for item in items]
    kind = value.WhichOneof("value")
    if kind in _EMPTY:
        return value.bool_value if kind == "bool_value" else _EMPTY[kind]
    return dumps(_wrapper(value))


def _finite(value: float) -> float | None:
    """Return the number; the reference server's queue speaks JSON, where NaN and infinities become null."""
    return value if math.isfinite(value) else None


def _wrapper(value: AnyValue) -> dict[str, Any]:
    """Return a value as OTLP/JSON spells it, with bytes in the form of a Node.js buffer."""
    match value.WhichOneof("value"):
        case "string_value":
            return {"stringValue": value.string_value}
        case "int_value":
            return {"intValue": str(value.int_value)}
        case "double_value":
            return {"doubleValue": _finite(value.double_value)}
        case "bool_value":
            return {"boolValue": value.bool_value}
        case "bytes_value":
            return {"bytesValue": {"type": "Buffer", "data": list(value.bytes_value)}}
        case "array_value":
            items = [_wrapper(item) for item in value.array_value.values]
            return {"arrayValue": {"values": items} if items else {}}
        case "kvlist_value":
            entries = [_entry(entry) for entry in value.kvlist_value.values]
            return {"kvlistValue": {"values": entries} if entries else {}}
    return {}


def _entry(entry: KeyValue) -> dict[str, Any]:
    wrapped: dict[str, Any] = {"key": entry.key} if entry.key else {}
    if entry.HasField("value"):
        wrapped["value"] = _wrapper(entry.value)
    return wrapped
