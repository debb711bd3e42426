"""Frames between server and writer: a number, a small JSON head, and bytes as they came from the client.

A frame is `<IQI` (bytes after this header, number of the request, length of the head), the head, the body.
Request heads are `{"command": …, …arguments}`. Answers carry the number of their request; number 0 is the
writer's greeting. An answer's head is `{"result": …}` or `{"error": <kind>, "message": …}`.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

_HEADER = struct.Struct("<IQI")

Payload = bytes | bytearray

GREETING = 0

PING = "ping"
"""The command that does nothing but be answered."""

REFUSED = "refused"
"""The command does not accept its input; the message is for the client."""
TOO_COSTLY = "too_costly"
"""Carrying the command out takes more than a client may ask for; the message is for the client."""
UNAVAILABLE = "unavailable"
"""The data cannot be written now; nothing was stored."""
FAILED = "failed"
"""A defect of the engine; the writer logged it, nothing was stored."""


class Frame(NamedTuple):
    """One message in either direction."""

    number: int
    head: dict[str, Any]
    body: Payload

    @property
    def size(self) -> int:
        """Bytes of the body."""
        return len(self.body)


def encode(number: int, head: dict[str, Any], body: Payload = b"") -> bytes:
    """Return the bytes of a frame."""
    return encode_head(number, head, len(body)) + body


def encode_head(number: int, head: dict[str, Any], size: int) -> bytes:
    """Return what is before a body of `size` bytes: who sends it by itself saves a copy."""
    text = orjson.dumps(head)
    return _HEADER.pack(len(text) + size, number, len(text)) + text


def receive(connection: socket.socket) -> Frame | None:
    """Wait for one frame and return it; ``None`` when the other end is gone, between frames or within one."""
    header = _exactly(connection, _HEADER.size)
    if header is None:
        return None
    length, number, head_length = _HEADER.unpack(header)
    head = _exactly(connection, head_length)
    body = _exactly(connection, length - head_length)
    return None if head is None or body is None else Frame(number, orjson.loads(head), body)


def _exactly(connection: socket.socket, size: int) -> bytearray | None:
    """Return the next `size` bytes, received in the place where they stay."""
    data = bytearray(size)
    view = memoryview(data)
    while view:
        count = connection.recv_into(view, 0, socket.MSG_WAITALL)
        if not count:
            return None
        view = view[count:]
    return data


class FrameBuffer:
    """Collects received bytes and gives out the frames that are complete."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> None:
        """Add received bytes."""
        self._data += data

    def frames(self) -> Iterator[Frame]:
        """Yield and remove every complete frame."""
        start = 0
        try:
            while len(self._data) - start >= _HEADER.size:
                length, number, head_length = _HEADER.unpack_from(self._data, start)
                body_start = start + _HEADER.size + head_length
                end = start + _HEADER.size + length
                if len(self._data) < end:
                    return
                head = orjson.loads(self._data[start + _HEADER.size : body_start])
                body = bytes(self._data[body_start:end])
                start = end
                yield Frame(number, head, body)
        finally:
            del self._data[:start]
