"""A trace export as the server keeps it: resourceSpans in the events bucket, a job in the queue."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError as ProtobufError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from langfuse_embedded.otlp.decode import DecodeError, gunzip

UNREADABLE = (DecodeError, ProtobufError, ValueError, TypeError, KeyError, AttributeError)
_IDS = ("traceId", "spanId", "parentSpanId")


def object_key(project_id: str, now: datetime) -> str:
    """Return where an export of this minute (UTC) is kept: the layout of the server, with an empty prefix."""
    return f"otel/{project_id}/{now:%Y/%m/%d/%H/%M}/{uuid.uuid4()}.json"


def resource_spans(body: bytes, *, is_json: bool, is_gzip: bool, limit: int) -> list[dict[str, Any]]:
    """Return the resourceSpans of a request body, with ids in hex.

    Raises one of UNREADABLE when the body cannot be read.
    """
    text = gunzip(body, limit) if is_gzip else body
    if is_json:
        spans = json.loads(text)["resourceSpans"]
    else:
        message = MessageToDict(ExportTraceServiceRequest.FromString(text), use_integers_for_enums=True)
        spans = message.get("resourceSpans", [])
        _ids_to_hex(spans)
    if not isinstance(spans, list):
        raise TypeError("resourceSpans is not a list")
    if not all(_has_ids(span) for span in _spans(spans)):
        raise ValueError("a span lacks its ids")
    return spans


def _spans(resource_spans: list[dict[str, Any]]) -> Iterator[Any]:
    for resource in resource_spans:
        for scope in resource.get("scopeSpans") or ():
            yield from scope.get("spans") or ()


def _has_ids(span: Any) -> bool:
    return isinstance(span, dict) and bool(span.get("traceId")) and bool(span.get("spanId"))


def _ids_to_hex(node: Any) -> None:
    if isinstance(node, list):
        for item in node:
            _ids_to_hex(item)
    elif isinstance(node, dict):
        for name, value in node.items():
            if name in _IDS and isinstance(value, str):
                node[name] = base64.b64decode(value).hex()
            elif name != "attributes":
                _ids_to_hex(value)
