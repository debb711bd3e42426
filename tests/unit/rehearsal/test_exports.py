"""How the stand-in of web reads an export."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from rehearsal.langfuse.exports import UNREADABLE, object_key, resource_spans

LIMIT = 10_000


def as_json(**span: str) -> bytes:
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()


def read_one(body: bytes, *, is_json: bool = True, is_gzip: bool = False) -> dict[str, Any]:
    resources = resource_spans(body, is_json=is_json, is_gzip=is_gzip, limit=LIMIT)
    span: dict[str, Any] = resources[0]["scopeSpans"][0]["spans"][0]
    return span


def test_ids_of_protobuf_become_hex_and_attributes_stay_as_they_are() -> None:
    span = Span(
        trace_id=bytes.fromhex("0123456789abcdef0123456789abcdef"),
        span_id=bytes.fromhex("0123456789abcdef"),
        parent_span_id=bytes.fromhex("fedcba9876543210"),
        attributes=[KeyValue(key="traceId", value=AnyValue(string_value="c2F5"))],
    )
    request = ExportTraceServiceRequest(
        resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=[span])])]
    )
    found = read_one(request.SerializeToString(), is_json=False)
    assert found["traceId"] == "0123456789abcdef0123456789abcdef"
    assert found["spanId"] == "0123456789abcdef"
    assert found["parentSpanId"] == "fedcba9876543210"
    assert found["attributes"] == [{"key": "traceId", "value": {"stringValue": "c2F5"}}]


def test_compressed_json_is_kept_as_it_is() -> None:
    body = as_json(traceId="ab", spanId="cd", name="chat")
    assert read_one(gzip.compress(body), is_gzip=True) == {"traceId": "ab", "spanId": "cd", "name": "chat"}


@pytest.mark.parametrize(
    ("body", "is_json"),
    [
        (as_json(traceId="ab"), True),
        (as_json(traceId="", spanId="cd"), True),
        (b'{"resourceSpans": {}}', True),
        (b"{}", True),
        (b"[1]", True),
        (b'{"resourceSpans": [1]}', True),
        (b"not an export", False),
    ],
)
def test_what_cannot_be_read_is_left_to_the_engine_to_refuse(body: bytes, is_json: bool) -> None:
    with pytest.raises(UNREADABLE):
        resource_spans(body, is_json=is_json, is_gzip=False, limit=LIMIT)


def test_objects_lie_in_a_folder_for_each_minute() -> None:
    key = object_key("kosmos", datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC))
    folder, _, name = key.rpartition("/")
    assert folder == "otel/kosmos/2026/03/04/05/06"
    assert len(name) == len("00000000-0000-0000-0000-000000000000.json")
    assert key != object_key("kosmos", datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC))
