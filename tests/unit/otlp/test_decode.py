"""Decoding: both encodings, compression, odd values, and what is refused."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from langfuse_embedded.otlp.decode import Decoded, DecodeError, decode_json, decode_protobuf, gunzip
from langfuse_embedded.otlp.mapping import map_batch
from tests.unit.otlp.spans import NOW, SPAN_ID, START, TRACE_ID, export, mapped, mapped_all, span

_NOT_GZIP = "Failed to decompress request body"
_GZIPPED = gzip.compress(b"x" * 100, mtime=0)


def _message(*values: AnyValue) -> ExportTraceServiceRequest:
    """Return an export of one span whose attributes `a0`, `a1` ... have these values."""
    request = ExportTraceServiceRequest()
    one = request.resource_spans.add().scope_spans.add().spans.add()
    one.trace_id, one.span_id = bytes.fromhex(TRACE_ID), bytes.fromhex(SPAN_ID)
    for number, value in enumerate(values):
        entry = one.attributes.add()
        entry.key = f"a{number}"
        entry.value.CopyFrom(value)
    return request


def _attributes(decoded: Decoded) -> dict[str, Any]:
    return decoded.resources[0].scopes[0].spans[0].attributes


def _array(*values: AnyValue) -> AnyValue:
    array = AnyValue()
    array.array_value.SetInParent()
    array.array_value.values.extend(values)
    return array


def _map(key: str, value: AnyValue) -> AnyValue:
    wrapped = AnyValue()
    entry = wrapped.kvlist_value.values.add()
    entry.key = key
    entry.value.CopyFrom(value)
    return wrapped


def test_both_encodings_give_the_same_attributes() -> None:
    message = _message(
        AnyValue(string_value="x"),
        AnyValue(string_value=""),
        AnyValue(int_value=-3),
        AnyValue(int_value=0),
        AnyValue(double_value=0.5),
        AnyValue(double_value=0),
        AnyValue(bool_value=True),
        AnyValue(bool_value=False),
        _array(AnyValue(string_value="a"), AnyValue(int_value=0), _array(AnyValue(bool_value=False))),
        _map("k", AnyValue(int_value=1)),
        AnyValue(int_value=2**53 + 1),
    )
    nested = {"arrayValue": {"values": [{"boolValue": False}]}}
    document = export(
        span(
            {
                "a0": "x",
                "a1": "",
                "a2": -3,
                "a3": 0,
                "a4": 0.5,
                "a5": 0.0,
                "a6": True,
                "a7": False,
                "a8": {"arrayValue": {"values": [{"stringValue": "a"}, {"intValue": "0"}, nested]}},
                "a9": {"kvlistValue": {"values": [{"key": "k", "value": {"intValue": "1"}}]}},
                "a10": {"intValue": str(2**53 + 1)},
            }
        )
    )
    expected = _attributes(decode_protobuf(message.SerializeToString()))
    assert _attributes(decode_json(json.dumps(document).encode())) == expected
    assert expected["a8"] == ["a", 0, [False]]
    assert expected["a9"] == '{"kvlistValue":{"values":[{"key":"k","value":{"intValue":"1"}}]}}'
    assert expected["a10"] == float(2**53)


def test_protobuf_values_without_a_plain_form_become_their_wrapper() -> None:
    message = _message(
        AnyValue(bytes_value=b"\x01\xff"), _array(), AnyValue(), AnyValue(double_value=float("nan"))
    )
    assert _attributes(decode_protobuf(message.SerializeToString())) == {
        "a0": '{"bytesValue":{"type":"Buffer","data":[1,255]}}',
        "a1": '{"arrayValue":{}}',
        "a2": "{}",
        "a3": None,
    }


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ({"doubleValue": "NaN"}, "NaN"),
        ({"doubleValue": "-Infinity"}, "-Infinity"),
        ({"doubleValue": "1.50"}, 1.5),
        ({"doubleValue": None}, None),
        ({"intValue": 7}, 7),
        ({"intValue": "0x10"}, 16),
        ({"intValue": "ten"}, '{"intValue":"ten"}'),
        ({"intValue": {"low": 5, "high": 0}}, 5),
        ({"intValue": {"low": -1, "high": -1}}, -1),
        ({"intValue": {"low": 1, "high": 1}}, 2**32 + 1),
        ({"stringValue": "s", "intValue": "5"}, "s"),
        ({"arrayValue": {}}, '{"arrayValue":{}}'),
        ({"arrayValue": {"values": "x"}}, '{"arrayValue":{"values":"x"}}'),
        ({"arrayValue": {"values": [None, {"intValue": "1"}]}}, [None, 1]),
        ({"bytesValue": "aGk="}, '{"bytesValue":"aGk="}'),
        ("bare", '"bare"'),
        ({}, "{}"),
    ],
)
def test_json_values_of_every_kind(value: Any, read: Any) -> None:
    document = export({**span(), "attributes": [{"key": "k", "value": value}]})
    assert _attributes(decode_json(json.dumps(document).encode())) == {"k": read}


def test_an_odd_attribute_costs_only_itself() -> None:
    attributes = [
        None,
        5,
        {"key": "a", "value": None},
        {"value": {"stringValue": "v"}},
        {"key": 1, "value": {}},
    ]
    document = export({**span(), "attributes": attributes}, span())
    assert len(mapped_all(document)) == 2
    assert _attributes(decode_json(json.dumps(document).encode())) == {"undefined": "v", "1": "{}"}


def test_lone_surrogates_and_broken_utf8_become_replacement_characters() -> None:
    body = json.dumps(export(span({"langfuse.observation.input": "a\ud800b", "k": "\U0001f600"})))
    event = map_batch(decode_json(body.encode()), now_ms=NOW)[0]
    assert event.input == "a\ufffdb"
    assert ("attributes.k", "\U0001f600") in event.metadata
    broken = json.dumps(export(span(name="NAME"))).encode().replace(b"NAME", b"a\xffb")
    assert map_batch(decode_json(broken), now_ms=NOW)[0].name == "a\ufffdb"


def test_broken_utf8_in_protobuf_is_repaired_not_refused() -> None:
    body = _message(AnyValue(string_value="NAME")).SerializeToString().replace(b"NAME", b"a\xff\xfeb")
    decoded = decode_protobuf(body)
    assert _attributes(decoded) == {"a0": "a\ufffd\ufffdb"}
    assert decoded.resources[0].scopes[0].spans[0].trace_id == TRACE_ID


@pytest.mark.parametrize(
    ("start", "end", "times"),
    [
        ("1768471200123456789", "1768471200987654321", (START + 123, START + 987)),
        (None, "1768471200001000000", (START + 1, START + 1)),
        ("1768471200000000000", "", (START, START)),
        ("soon", None, (NOW, NOW)),
        ("0", "0", (0, 0)),
        ("-1500000", "0x3D0900", (-1, 4)),
        (1768471200000000000, 2e6, (START, 2)),
        ({"low": 2_000_000, "high": 0}, {"low": 0, "high": "x"}, (2, 2)),
        (True, [], (NOW, NOW)),
        ("9" * 30, "1000000", (1, 1)),
    ],
)
def test_times_are_milliseconds_and_a_missing_edge_copies_the_other(
    start: Any, end: Any, times: tuple[int, int]
) -> None:
    event = mapped(startTimeUnixNano=start, endTimeUnixNano=end)
    assert (event.start_time, event.end_time) == times


def test_protobuf_times_of_zero_were_not_sent() -> None:
    event = map_batch(decode_protobuf(_message().SerializeToString()), now_ms=NOW)[0]
    assert (event.start_time, event.end_time) == (NOW, NOW)


@pytest.mark.parametrize(
    ("trace_id", "read"),
    [
        ("ABC", "ABC"),
        ("", ""),
        ([10, 255, 256, -1, "x"], "0aff00ff00"),
        ({"type": "Buffer", "data": [1, 2]}, "0102"),
    ],
)
def test_ids_are_texts_or_bytes(trace_id: Any, read: str) -> None:
    assert mapped(traceId=trace_id).trace_id == read


@pytest.mark.parametrize(
    ("parent", "read"), [(None, None), ("", None), ("ab", "ab"), ([], None), ([1], "01")]
)
def test_an_empty_parent_is_no_parent(parent: Any, read: str | None) -> None:
    assert mapped(parentSpanId=parent).parent_span_id == read


def test_parts_that_are_null_are_passed_over() -> None:
    document = export(span(events=[None, {"name": "x"}], status=None, name=None), scope=None)
    document["resourceSpans"] += [None, "text", {"scopeSpans": [None, {"spans": None}], "resource": None}]
    (event,) = mapped_all(document)
    assert (event.name, event.scope_name, event.metadata) == ("", None, [])


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b"5", b'{"resourceSpans":{}}', b'{"resourceSpans":[]}', b'""']
)
def test_json_without_spans_is_an_empty_batch(body: bytes) -> None:
    assert decode_json(body).span_count == 0


@pytest.mark.parametrize("body", [b"", b"null", b"{", b"\xef\xbb\xbf{}", b'{"a":NaN}', b"[" * 100_000])
def test_other_bodies_are_no_json_export(body: bytes) -> None:
    with pytest.raises(DecodeError, match=r"^Failed to parse OTel JSON Trace$"):
        decode_json(body)


@pytest.mark.parametrize("body", [b"\xff\xff\xff", b"{}", _message().SerializeToString()[:-3]])
def test_other_bodies_are_no_protobuf_export(body: bytes) -> None:
    with pytest.raises(DecodeError, match=r"^Failed to parse OTel Protobuf Trace$"):
        decode_protobuf(body)


def _rejection(document: Any) -> str:
    with pytest.raises(DecodeError) as refused:
        decode_json(json.dumps(document).encode())
    return str(refused.value)


@pytest.mark.parametrize(
    ("fields", "reasons"),
    [
        ({"traceId": None}, "traceId:absent"),
        ({"traceId": 5, "spanId": {"data": [1]}}, "traceId:not_an_id, spanId:not_an_id"),
        ({"parentSpanId": {}}, "parentSpanId:not_an_id"),
        ({"attributes": {"a": 1}}, "attributes:not_an_array"),
        ({"events": "x"}, "events:not_an_array"),
        ({"events": [{"attributes": 5}]}, "event.attributes:not_an_array"),
    ],
)
def test_one_unusable_span_rejects_the_batch(fields: dict[str, Any], reasons: str) -> None:
    message = _rejection(export(span(), {**span(), **fields}, scope="kosmos"))
    assert message.startswith(f"Invalid OTLP trace export: 1 of 2 span(s) cannot be processed ({reasons}). ")
    assert " Instrumentation scopes: kosmos. This endpoint accepts OpenTelemetry traces only " in message
    assert ("must all be arrays" in message) == ("not_an_array" in reasons)
    assert ("are required on every span" in message) == ("not_an_array" not in reasons)


def test_collections_that_are_no_lists_reject_the_batch() -> None:
    document = {
        "resourceSpans": [
            {"resource": {"attributes": {}}, "scopeSpans": {"a": 1}},
            {"scopeSpans": [{"scope": {"name": "zeus", "attributes": "x"}, "spans": 5}]},
        ]
    }
    assert _rejection(document).startswith(
        "Invalid OTLP trace export: 4 resource- or scope-level field(s) are present but not arrays "
        "(resource.attributes:not_an_array, scopeSpans:not_an_array, scope.attributes:not_an_array, "
        "spans:not_an_array). scopeSpans, spans,"
    )


def test_a_span_that_is_null_and_protobuf_without_ids_are_rejected() -> None:
    reasons = "1 of 1 span(s) cannot be processed (traceId:absent, spanId:absent)"
    assert reasons in _rejection(export(None))
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add()
    with pytest.raises(DecodeError) as refused:
        decode_protobuf(request.SerializeToString())
    assert reasons in str(refused.value)
    assert "Instrumentation scopes: unknown." in str(refused.value)


def test_gzip_bodies_of_one_and_several_members() -> None:
    one, two = gzip.compress(b"a" * 10), gzip.compress(b"b" * 5)
    assert gunzip(one, 10) == b"a" * 10
    assert gunzip(one + two + b"\0\0", 15) == b"a" * 10 + b"b" * 5


@pytest.mark.parametrize("body", [b"", b"plain", _GZIPPED[:-9], _GZIPPED + b"tail"])
def test_what_is_not_gzip_is_refused(body: bytes) -> None:
    with pytest.raises(DecodeError, match=_NOT_GZIP):
        gunzip(body, 1000)


def test_a_gzip_bomb_is_refused_before_it_fills_the_memory() -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    with pytest.raises(DecodeError, match=_NOT_GZIP):
        gunzip(gzip.compress(b"x" * 11), 10)
    tracemalloc.start()
    try:
        with pytest.raises(DecodeError, match=_NOT_GZIP):
            gunzip(bomb, 1_000_000)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
