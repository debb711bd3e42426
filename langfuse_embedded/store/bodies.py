"""Blocks: the long texts of spans that arrived together, compressed as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import zstandard

Pairs = list[tuple[str, str]]


@dataclass(slots=True)
class Body:
    """The long texts of one observation.

    `metadata` holds dotted names and raw values as stored. `more` has what few observations carry: tool
    definitions and calls, and the texts of an experiment.
    """

    input: str | None
    output: str | None
    metadata: Pairs
    more: dict[str, Any]


class BlockWriter:
    """Compresses blocks. One per thread."""

    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=3, write_content_size=True)

    def pack(self, bodies: Sequence[Body]) -> bytes:
        """Return the block of these bodies; their positions count from 0."""
        documents = [[body.input, body.output, body.metadata, body.more or None] for body in bodies]
        return self._compressor.compress(orjson.dumps(documents))


class BlockReader:
    """Opens blocks. One per thread."""

    def __init__(self) -> None:
        self._decompressor = zstandard.ZstdDecompressor()

    def unpack(self, block: bytes) -> list[Body]:
        """Return the bodies of a block in their positions."""
        return [
            Body(text_in, text_out, metadata, more or {})
            for text_in, text_out, metadata, more in orjson.loads(self._decompressor.decompress(block))
        ]
