"""Look for a text in names, inputs and outputs: in the record, among what the other filters have found."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

from langfuse_embedded.store.hexid import pack, unpack
from langfuse_embedded.store.trace_overview import SearchTooSlow, deadline

Key = TypeVar("Key", int, str)

SEARCH_SECONDS = 5.0
MOST_CANDIDATES = 200_000
"""How many rows are looked through, in the order of the list."""
_CHUNK = 500
_CONTAINS = "instr(lower({}), lower(?)) > 0"
_PARTS = (
    "o.name",
    "body_text(o.block, b.body, o.position, 'input')",
    "body_text(o.block, b.body, o.position, 'output')",
)
_FOUND = " or ".join(_CONTAINS.format(part) for part in _PARTS)


def with_text(
    connection: sqlite3.Connection,
    project: int,
    keys: Sequence[Key],
    text: str,
    wanted: int,
    seconds: float = SEARCH_SECONDS,
) -> list[Key]:
    """Return the first of `keys` (numbers of observations, or ids of traces) that have the text, in any case.

    The connection has the functions that `ObservationReader` registers.

    Raises:
        SearchTooSlow: `wanted` of them were not found in so many seconds.
    """
    found: list[Key] = []
    end = time.monotonic() + seconds
    for chunk in _chunks(keys):
        is_trace = isinstance(chunk[0], str)
        column = "o.trace_id" if is_trace else "o.seq"
        marks = ", ".join("?" * len(chunk))
        packed: list[bytes | str | int] = [pack(one) if isinstance(one, str) else one for one in chunk]
        left = end - time.monotonic()
        if left <= 0:
            raise SearchTooSlow
        with deadline(connection, left):
            rows = connection.execute(
                f"select distinct {column} from observations o join blocks b on b.id = o.block"
                f" where o.project = ? and {column} in ({marks}) and ({_FOUND})",
                (project, *packed, *[text] * len(_PARTS)),
            ).fetchall()
        hits = {unpack(row[0]) if is_trace else row[0] for row in rows}
        found += [one for one in chunk if one in hits]
        if len(found) >= wanted:
            break
    return found[:wanted]


def _chunks(keys: Sequence[Key]) -> Iterator[Sequence[Key]]:
    size = 50  # what is looked for is often near
    begin = 0
    while begin < len(keys):
        yield keys[begin : begin + size]
        begin, size = begin + size, _CHUNK
