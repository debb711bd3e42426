"""Request bodies of the OTLP endpoint: compressed or not, protobuf or JSON, to the decoded batch."""

from __future__ import annotations

import zlib

from .batch import Decoded, DecodeError, TooLarge
from .from_json import decode_json
from .from_protobuf import decode_message, decode_protobuf, parse_protobuf

__all__ = [
    "DecodeError",
    "Decoded",
    "TooLarge",
    "decode_json",
    "decode_message",
    "decode_protobuf",
    "gunzip",
    "parse_protobuf",
]

_GZIP = 16 + zlib.MAX_WBITS


def gunzip(body: bytes | bytearray, limit: int) -> bytes:
    """Decompress a gzip body of one or more members to at most `limit` bytes.

    Raises `DecodeError` when it is not gzip, is cut short, or would grow beyond the limit: a body of a few
    kilobytes can name gigabytes, so not one byte more than allowed is ever produced.
    """
    parts = []
    left = limit
    while body:
        member = zlib.decompressobj(_GZIP)
        try:
            part = member.decompress(body, left + 1)
        except zlib.error as error:
            message = "Failed to decompress request body"
            raise DecodeError(message) from error
        left -= len(part)
        if left < 0:
            message = "Failed to decompress request body"
            raise TooLarge(message)
        if not member.eof:
            message = "Failed to decompress request body"
            raise DecodeError(message)
        parts.append(part)
        body = member.unused_data.lstrip(b"\0")
    if not parts:
        message = "Failed to decompress request body"
        raise DecodeError(message)
    return parts[0] if len(parts) == 1 else b"".join(parts)
