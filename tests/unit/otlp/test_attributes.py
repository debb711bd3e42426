"""Encoded attributes: the short way for texts says what the protobuf runtime says, and no byte more."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from langfuse_embedded.otlp.attributes import attributes_of
from langfuse_embedded.otlp.wire import WireError

_TEXTS = st.one_of(st.text(max_size=40), st.integers(100, 140).map("x".__mul__))


def _encoded(key: str, **value: Any) -> bytes:
    return KeyValue(key=key, value=AnyValue(**value)).SerializeToString()


@given(key=_TEXTS.filter(bool), text=_TEXTS)
def test_a_text_is_read_as_it_was_sent(key: str, text: str) -> None:
    assert attributes_of([_encoded(key, string_value=text)]) == {key: text}


@pytest.mark.parametrize("length", [0, 1, 121, 122, 123, 124, 125, 126, 127, 128, 16_376, 16_384, 2_097_152])
def test_a_text_is_whole_wherever_its_length_takes_a_byte_more(length: int) -> None:
    text = "é" * (length // 2) + "x" * (length % 2)

    assert attributes_of([_encoded("input", string_value=text)]) == {"input": text}


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ({"int_value": 0}, 0),
        ({"int_value": 2**60 + 1}, float(2**60)),
        ({"double_value": 0.5}, 0.5),
        ({"double_value": float("nan")}, None),
        ({"bool_value": False}, False),
        ({"bytes_value": b"\x01"}, '{"bytesValue":{"type":"Buffer","data":[1]}}'),
        ({}, "{}"),
    ],
)
def test_other_kinds_keep_their_value(sent: dict[str, Any], read: Any) -> None:
    assert attributes_of([_encoded("count", **sent)]) == {"count": read}


def test_the_last_of_two_equal_keys_counts() -> None:
    assert attributes_of([_encoded("a", string_value="1"), _encoded("a", string_value="2")]) == {"a": "2"}


def test_a_value_before_its_key_is_read() -> None:
    entry = _encoded("key", string_value="text")

    assert attributes_of([entry[5:] + entry[:5]]) == {"key": "text"}


def test_a_key_that_was_sent_twice_is_the_last_one() -> None:
    assert attributes_of([_encoded("first", string_value="text") + b"\x0a\x01z"]) == {"z": "text"}


def test_bytes_that_are_not_utf8_become_replacement_characters() -> None:
    entry = _encoded("key", string_value="ab").replace(b"ab", b"\xffb")

    assert attributes_of([entry]) == {"key": "\ufffdb"}


@given(entry=st.binary(max_size=12))
def test_bytes_are_what_the_protobuf_runtime_takes_them_for_or_refused(entry: bytes) -> None:
    try:
        official = KeyValue.FromString(entry)
    except Exception:  # noqa: BLE001  also for texts that are not UTF-8, which are repaired here
        official = None
    try:
        read = attributes_of([entry])
    except WireError:
        assert official is None
    else:
        assert official is None or read.keys() == {official.key or "undefined"}


def test_one_byte_too_few_or_too_many_is_refused() -> None:
    entry = _encoded("key", string_value="text")

    for torn in (entry[:-1], entry[:1], entry[:4], entry + b"\x0a"):
        with pytest.raises(WireError):
            attributes_of([torn])
