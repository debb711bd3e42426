"""OTLP in protobuf: bytes to the decoded batch."""

from __future__ import annotations

from typing import Any

from .attributes import attributes_of, clean
from .batch import Decoded, DecodeError, Resource, Scope, Span, SpanEvent
from .rejection import Findings
from .wire import WireError, parse_export


def parse_protobuf(body: bytes | bytearray) -> Any:
    """Return the message in the bytes, of the types in `wire.py`; raise `DecodeError` for other bytes."""
    try:
        return parse_export(body)
    except WireError as error:
        raise _unreadable() from error


def decode_protobuf(body: bytes | bytearray) -> Decoded:
    """Decode an `ExportTraceServiceRequest`; raise `DecodeError` for other bytes and for unusable spans."""
    return decode_message(parse_protobuf(body))


def decode_message(export: Any) -> Decoded:
    """Decode what `parse_protobuf` returns; raise `DecodeError` as `decode_protobuf` does."""
    findings = Findings()
    try:
        decoded = Decoded(
            [
                Resource(
                    attributes_of(entry.resource.attributes),
                    [_scope(scope, findings) for scope in entry.scope_spans],
                )
                for entry in export.resource_spans
            ]
        )
    except WireError as error:
        # An attribute: attributes are parsed one by one.
        raise _unreadable() from error
    unusable = findings.message()
    if unusable is not None:
        raise DecodeError(unusable)
    return decoded


def _unreadable() -> DecodeError:
    return DecodeError("Failed to parse OTel Protobuf Trace")


def _scope(message: Any, findings: Findings) -> Scope:
    scope = message.scope
    name, version = clean(scope.name) or None, clean(scope.version) or None
    fields: dict[str, Any] = {}
    if name:
        fields["name"] = name
    if version:
        fields["version"] = version
    fields["attributes"] = attributes_of(scope.attributes)
    if scope.dropped_attributes_count:
        fields["droppedAttributesCount"] = scope.dropped_attributes_count
    spans = [_span(span) for span in message.spans]
    findings.spans += len(spans)
    for span in spans:
        if span.trace_id and span.span_id:
            continue
        ids = (("traceId", span.trace_id), ("spanId", span.span_id))
        findings.reject_span([f"{field}:absent" for field, value in ids if not value], name)
    return Scope(name, version, fields, spans)


def _span(message: Any) -> Span:
    start, end = message.start_time_unix_nano, message.end_time_unix_nano
    events = message.events
    status = message.status
    return Span(
        message.trace_id.hex(),
        message.span_id.hex(),
        message.parent_span_id.hex() or None,
        clean(message.name),
        start // 1_000_000 if start else None,
        end // 1_000_000 if end else None,
        status.code,
        clean(status.message) or None,
        attributes_of(message.attributes),
        [SpanEvent(clean(event.name), attributes_of(event.attributes) or None) for event in events]
        if events
        else [],
    )
