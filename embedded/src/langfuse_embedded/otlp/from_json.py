"""OTLP in JSON: bytes to the decoded batch.

Hand-written exporters send this form, so nothing about its shape is taken for granted. What makes an export
unusable is rejected as the reference server does; odd attributes and events, for which that server loses the
whole batch later, cost only themselves.
"""

from __future__ import annotations

from typing import Any

from langfuse_embedded.javascript.values import as_double, dumps, number, string
from langfuse_embedded.lenient_json import loads

from .batch import Attributes, Decoded, DecodeError, Resource, Scope, Span, SpanEvent
from .rejection import Findings
from .times import milliseconds_of_nanos

_EXACT = 2**53
_KEYLESS = "undefined"
_MAX_NESTING = 100
"""Array values nested deeper are cut to null; protobuf allows about half of it."""


def decode_json(body: bytes | bytearray) -> Decoded:
    """Decode an OTLP/JSON trace export; raise `DecodeError` for other bodies and for unusable spans."""
    document = _parse(body)
    resource_spans = document.get("resourceSpans") if isinstance(document, dict) else None
    if not isinstance(resource_spans, list):
        return Decoded()
    findings = Findings()
    for entry in resource_spans:
        _inspect_resource(entry, findings)
    message = findings.message()
    if message is not None:
        raise DecodeError(message)
    return Decoded([_resource(entry) for entry in resource_spans if isinstance(entry, dict)])


def json_parts(body: bytes | bytearray, most: int) -> int:
    """Return how many resources, scopes and spans an export names, or some number above `most`."""
    try:
        document = _parse(body)
    except DecodeError:
        return 0  # refused in its turn
    resources = document.get("resourceSpans") if isinstance(document, dict) else None
    if not isinstance(resources, list):
        return 0
    parts = len(resources)
    for resource in resources:
        if parts > most:
            break
        scopes = _member(resource, "scopeSpans")
        if not isinstance(scopes, list):
            continue
        parts += len(scopes)
        for scope in scopes:
            if parts > most:
                break
            spans = _member(scope, "spans")
            parts += len(spans) if isinstance(spans, list) else 0
    return parts


def _parse(body: bytes | bytearray) -> Any:
    """Parse the body; bytes that are not UTF-8 and lone surrogates become U+FFFD."""
    try:
        document = loads(body)
    except ValueError:
        document = None
    if document is None:
        message = "Failed to parse OTel JSON Trace"
        raise DecodeError(message)
    return document


# --- what makes an export unusable -------------------------------------------------------------------


def _inspect_resource(entry: Any, findings: Findings) -> None:
    if not isinstance(entry, dict):
        return
    if _is_malformed_list(_member(entry.get("resource"), "attributes")):
        findings.reject_collection("resource.attributes:not_an_array")
    scope_spans = entry.get("scopeSpans")
    if _is_malformed_list(scope_spans):
        findings.reject_collection("scopeSpans:not_an_array")
    elif scope_spans:
        for scope in scope_spans:
            _inspect_scope(scope, findings)


def _inspect_scope(entry: Any, findings: Findings) -> None:
    scope = _member(entry, "scope")
    name = _member(scope, "name")
    scope_name = string(name) if name else None
    if _is_malformed_list(_member(scope, "attributes")):
        findings.reject_collection("scope.attributes:not_an_array", scope_name)
    spans = _member(entry, "spans")
    if _is_malformed_list(spans):
        findings.reject_collection("spans:not_an_array", scope_name)
    elif spans:
        findings.spans += len(spans)
        for span in spans:
            reasons = _span_defects(span)
            if reasons:
                findings.reject_span(reasons, scope_name)


def _span_defects(span: Any) -> list[str]:
    reasons = [
        f"{field}:{defect}"
        for field in ("traceId", "spanId")
        if (defect := _id_defect(_member(span, field))) is not None
    ]
    parent = _member(span, "parentSpanId")
    if (parent or parent == {}) and _id_defect(parent):
        reasons.append("parentSpanId:not_an_id")
    if _is_malformed_list(_member(span, "attributes")):
        reasons.append("attributes:not_an_array")
    events = _member(span, "events")
    if _is_malformed_list(events):
        reasons.append("events:not_an_array")
    elif events and any(_is_malformed_list(_member(event, "attributes")) for event in events):
        reasons.append("event.attributes:not_an_array")
    return reasons


def _id_defect(value: Any) -> str | None:
    if value is None:
        return "absent"
    return None if isinstance(value, (str, list)) or _is_buffer(value) else "not_an_id"


def _is_buffer(value: Any) -> bool:
    """Tell whether a value is a Node.js buffer that went through JSON."""
    return isinstance(value, dict) and value.get("type") == "Buffer" and isinstance(value.get("data"), list)


def _is_malformed_list(value: Any) -> bool:
    return value is not None and not isinstance(value, list)


def _member(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None


# --- the batch ---------------------------------------------------------------------------------------


def _resource(entry: dict[str, Any]) -> Resource:
    scopes = entry.get("scopeSpans") or []
    return Resource(
        _attributes(_member(entry.get("resource"), "attributes")),
        [_scope(scope) for scope in scopes if isinstance(scope, dict)],
    )


def _scope(entry: dict[str, Any]) -> Scope:
    scope = entry.get("scope")
    fields = dict(scope) if isinstance(scope, dict) else {}
    fields["attributes"] = _attributes(fields.get("attributes"))
    return Scope(
        _text_or_none(fields.get("name")),
        _text_or_none(fields.get("version")),
        fields,
        [_span(span) for span in entry.get("spans") or []],
    )


def _span(entry: dict[str, Any]) -> Span:
    status = entry.get("status")
    events = entry.get("events")
    return Span(
        _id(entry["traceId"]),
        _id(entry["spanId"]),
        _id(entry.get("parentSpanId") or "") or None,
        _text_or_none(entry.get("name")) or "",
        milliseconds_of_nanos(entry.get("startTimeUnixNano")),
        milliseconds_of_nanos(entry.get("endTimeUnixNano")),
        _member(status, "code"),
        _member(status, "message"),
        _attributes(entry.get("attributes")),
        [_event(event) for event in events if isinstance(event, dict)] if events else [],
    )


def _event(entry: dict[str, Any]) -> SpanEvent:
    attributes = entry.get("attributes")
    return SpanEvent(
        _text_or_none(entry.get("name")) or "", None if attributes is None else _attributes(attributes)
    )


def _id(value: Any) -> str:
    """Return an id: texts as they are, whatever they spell; byte arrays in hexadecimal."""
    if isinstance(value, str):
        return value
    octets = value["data"] if isinstance(value, dict) else value
    return bytes(int(number(octet) or 0) & 255 if _is_number(octet) else 0 for octet in octets).hex()


def _is_number(value: Any) -> bool:
    return isinstance(value, int) or (isinstance(value, float) and abs(value) < _EXACT)


def _text_or_none(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else dumps(value)


def _attributes(entries: list[Any] | None) -> Attributes:
    """Return attribute values by key, of a repeated key the last one.

    An entry that is null or has a null value says nothing and is left out.
    """
    attributes: Attributes = {}
    for entry in entries or []:
        if not isinstance(entry, dict):
            continue
        value = entry.get("value")
        if value is not None:
            key = entry.get("key", _KEYLESS)
            attributes[key if isinstance(key, str) else string(key)] = _value(value, 0)
    return attributes


def _value(value: Any, depth: int) -> Any:
    """Return a value as the mapper sees it: bytes, maps and anything odd as JSON text of the wrapper."""
    if not isinstance(value, dict):
        return dumps(value)
    if "stringValue" in value:
        return _plain(value["stringValue"])
    if "doubleValue" in value:
        return _double(value["doubleValue"])
    if "boolValue" in value:
        return _plain(value["boolValue"])
    items = _member(value.get("arrayValue"), "values")
    if isinstance(items, list):
        if depth >= _MAX_NESTING:
            return None
        return [None if item is None else _value(item, depth + 1) for item in items]
    if "intValue" in value:
        whole = _int(value["intValue"])
        if whole is not None:
            return whole
    return dumps(value)


def _plain(value: Any) -> Any:
    """Return a value that should be a text or a boolean; what else was sent stays readable as JSON text."""
    return dumps(value) if isinstance(value, (dict, list)) else _rounded(value)


def _double(value: Any) -> Any:
    """Return a double; JSON spells NaN and the infinities as texts, and texts they stay."""
    if isinstance(value, str):
        parsed = number(value)
        return value if parsed is None or abs(parsed) == float("inf") else _rounded(parsed)
    return _plain(value)


def _int(value: Any) -> Any:
    """Return an int64, which JSON spells as a decimal text and some encoders as two halves."""
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        parsed = number(value)
        return None if parsed is None else _rounded(parsed)
    high, low = _member(value, "high"), _member(value, "low")
    if not _is_number(high) or not _is_number(low):
        return None
    if high == 0 or (high == -1 and low == -1):
        return _rounded(low)
    return _rounded(high * 2**32 + low)


def _rounded(value: Any) -> Any:
    """Return an integer beyond 2^53 as the double that JavaScript makes of it."""
    return as_double(value) if isinstance(value, int) and not -_EXACT <= value <= _EXACT else value
