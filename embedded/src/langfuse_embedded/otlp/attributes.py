"""Encoded attributes to keys and values.

Spans of one application repeat most of their attributes: the kind, the model, the environment, the user of
the trace. So a short attribute is decoded once and remembered by its bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from langfuse_embedded.javascript.values import dumps

from .batch import Attributes
from .wire import parse_attribute

_EXACT = 2**53
_KEYLESS = "undefined"

_SHORT = 120
_MAX_REMEMBERED = 10_000
"""With `_SHORT` (bytes) this bounds what is remembered to a few megabytes."""

# Tags on the wire: the number of a field and its type. What a text attribute is, as every encoder spells it:
#     KEY <length> <key> VALUE <length> STRING_VALUE <length> <text>
_KEY = b"\x0a"
_VALUE = b"\x12"
_STRING_VALUE = b"\x0a"
_ONE_BYTE = 0x80
"""Lengths below it take one byte."""


class _Remembered(dict[bytes, tuple[str, Any]]):
    """Key and value by encoded attribute; one that is asked for the first time is decoded."""

    def __missing__(self, entry: bytes) -> tuple[str, Any]:
        pair = _text_attribute(entry) or _any_attribute(entry)
        if len(entry) <= _SHORT:
            if len(self) >= _MAX_REMEMBERED:
                self.clear()
            self[entry] = pair
        return pair


class _Keys(dict[bytes, str]):
    """Key by its encoding with tag and length; empty for what is not an attribute, or has a long key."""

    def __missing__(self, head: bytes) -> str:
        spelled_so = head[:1] == _KEY and len(head) == 2 + head[1] and head[1] < _ONE_BYTE
        key = clean(head[2:]) if spelled_so else ""
        if len(self) < _MAX_REMEMBERED:
            self[head] = key
        return key


class _ValueHeads(dict[int, bytes]):
    """What is before a text by the number of bytes from there to the end of the attribute.

    Empty where no text ends there: numbers of bytes at which a length starts to take one byte more.
    """

    def __missing__(self, size: int) -> bytes:
        head = b""
        for text in range(max(0, size - 12), size):
            value = _STRING_VALUE + _length(text)
            candidate = _VALUE + _length(len(value) + text) + value
            if len(candidate) + text == size:
                head = candidate
        if len(self) < _MAX_REMEMBERED:
            self[size] = head
        return head


_decoded = _Remembered().__getitem__
_keys = _Keys()
_value_heads = _ValueHeads()


def attributes_of(entries: Iterable[bytes]) -> Attributes:
    """Return attribute values by key; of a repeated key the last one, as JavaScript objects do.

    Values are shared between spans: nobody may change one.

    Raises:
        WireError: an entry is not an attribute.
    """
    return dict(map(_decoded, entries))


def clean(text: bytes) -> str:
    """Return a text with U+FFFD in place of bytes that are not UTF-8."""
    return text.decode("utf-8", "replace")


def _text_attribute(entry: bytes) -> tuple[str, str] | None:
    """Return a key and its text when the attribute is spelled as every encoder does, else ``None``.

    Its length then tells all bytes between key and text, so comparing them is all there is to parse.
    """
    if len(entry) < 2:
        return None
    end = 2 + entry[1]
    key = _keys[entry[:end]]
    head = _value_heads[len(entry) - end]
    if key and head and entry.startswith(head, end):
        return key, entry[end + len(head) :].decode("utf-8", "replace")
    return None


def _length(size: int) -> bytes:
    """Return a length as it is on the wire: seven bits a byte, the lowest first."""
    encoded = bytearray()
    while size >= _ONE_BYTE:
        encoded.append(size & 0x7F | _ONE_BYTE)
        size >>= 7
    return bytes([*encoded, size])


def _any_attribute(entry: bytes) -> tuple[str, Any]:
    message = parse_attribute(entry)
    return clean(message.key) or _KEYLESS, _value(message.value)


def _value(value: Any) -> Any:
    """Return a value as the mapper sees it: bytes, maps and no value as the JSON text of their wrapper."""
    match value.WhichOneof("value"):
        case "string_value":
            return clean(value.string_value)
        case "int_value":
            whole = value.int_value
            return whole if -_EXACT <= whole <= _EXACT else float(whole)
        case "double_value":
            return _finite(value.double_value)
        case "bool_value":
            return value.bool_value
        case "array_value" if value.array_value.values:
            return [_value(item) for item in value.array_value.values]
    return dumps(_wrapper(value))


def _finite(value: float) -> float | None:
    """Return the number; the reference server's queue speaks JSON, where NaN and infinities become null."""
    return value if math.isfinite(value) else None


def _wrapper(value: Any) -> dict[str, Any]:
    """Return a value as OTLP/JSON spells it, with bytes in the form of a Node.js buffer."""
    match value.WhichOneof("value"):
        case "string_value":
            return {"stringValue": clean(value.string_value)}
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


def _entry(entry: Any) -> dict[str, Any]:
    wrapped: dict[str, Any] = {"key": clean(entry.key)} if entry.key else {}
    if entry.HasField("value"):
        wrapped["value"] = _wrapper(entry.value)
    return wrapped
