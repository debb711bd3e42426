"""Blocks: the long texts of spans that arrived together, compressed as one."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import zstandard

_REMEMBERED_BLOCKS = 32


class TooLarge(Exception):
    """There is more to read than the event loop has time for."""


@dataclass(slots=True)
class Body:
    """The long texts of one observation.

    `metadata` holds pairs of dotted names and raw values as stored; of two equal names the first counts.
    `more` has what few observations carry: tool definitions and calls, and the texts of an experiment.
    """

    input: str | None
    output: str | None
    metadata: Sequence[Sequence[str]]
    more: dict[str, Any]


class BlockWriter:
    """Compresses blocks. One per thread."""

    def __init__(self) -> None:
        # Level 3 takes a fifth longer for two percent.
        self._compressor = zstandard.ZstdCompressor(level=1, write_content_size=True)

    def pack(self, bodies: Sequence[Body]) -> bytes:
        """Return the block of these bodies; their positions count from 0."""
        documents = [[body.input, body.output, body.metadata, body.more or None] for body in bodies]
        return self._compressor.compress(orjson.dumps(documents))


class BlockReader:
    """Reads the bodies of observations over one connection; the last blocks are remembered.

    A block never changes and its number is never given again, so what is remembered stays right.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._decompressor = zstandard.ZstdDecompressor()
        self._known: dict[int, list[Body]] = {}
        self.opened_bytes = 0

    def body(self, block: int, position: int, most_bytes: int | None = None) -> Body:
        """Return the body of an observation.

        Raises:
            LookupError: it was deleted after its row was read.
            TooLarge: its block has more than `most_bytes`.
        """
        bodies = self._known.get(block)
        if bodies is None:
            row = self._db.execute("select body from blocks where id = ?", (block,)).fetchone()
            if row is None:
                raise LookupError(block)
            size = zstandard.frame_content_size(row[0])
            if most_bytes is not None and size > most_bytes:
                raise TooLarge
            self.opened_bytes += size
            bodies = self._open(block, row[0])
        return bodies[position]

    def register(self) -> None:
        """Teach the connection `body_text(block, body, position, part)` and `body_metadata(…, key)`."""
        self._db.create_function("body_text", 4, self._text)
        self._db.create_function("body_metadata", 4, self._metadata)

    def _text(self, block: int, body: bytes, position: int, part: str) -> str:
        found = (self._known.get(block) or self._open(block, body))[position]
        return (found.input if part == "input" else found.output) or ""

    def _metadata(self, block: int, body: bytes, position: int, key: str) -> str | None:
        found = (self._known.get(block) or self._open(block, body))[position]
        return next((value for name, value in found.metadata if name == key), None)

    def _open(self, block: int, body: bytes) -> list[Body]:
        documents = orjson.loads(self._decompressor.decompress(body))
        bodies = [Body(given, made, metadata, more or {}) for given, made, metadata, more in documents]
        if len(self._known) >= _REMEMBERED_BLOCKS:
            del self._known[next(iter(self._known))]
        self._known[block] = bodies
        return bodies
