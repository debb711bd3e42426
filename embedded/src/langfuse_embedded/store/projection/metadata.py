"""Copies metadata for filters: only once a query asks for it, because it is compressed beside the rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from langfuse_embedded.store.bodies import BlockReader

from .feed import SCORE_METADATA, USUAL_LINE, copy_rows

if TYPE_CHECKING:
    import duckdb

_BATCH = 5_000
_SHAPE = "{'seq': 'bigint', 'names': 'varchar[]', 'entries': 'varchar[]'}"


def copy_metadata(
    source: sqlite3.Connection,
    target: duckdb.DuckDBPyConnection,
    after: int,
    upto: int,
    scratch: Path,
) -> None:
    """Append the metadata of the rows numbered after `after` up to `upto`.

    Raises:
        sqlite3.Error, duckdb.Error, OSError: nothing is committed here, so nothing is half done.
    """
    _append(target, _of_observations(source, after, upto), scratch)
    copy_rows(source, target, SCORE_METADATA, after, upto, scratch)


def _of_observations(source: sqlite3.Connection, after: int, upto: int) -> Iterator[dict[str, Any]]:
    reader = BlockReader(source)
    rows = source.execute(
        "select o.seq, o.block, o.position from observations o where o.seq > ? and o.seq <= ? order by o.seq",
        (after, upto),
    )
    for seq, block, position in rows:
        metadata = reader.body(block, position).metadata
        if metadata:
            yield {
                "seq": seq,
                "names": [name for name, _ in metadata],
                "entries": [entry for _, entry in metadata],
            }


def _append(target: duckdb.DuckDBPyConnection, rows: Iterator[dict[str, Any]], scratch: Path) -> None:
    while batch := list(islice(rows, _BATCH)):
        lines = [orjson.dumps(row) for row in batch]
        room = max(USUAL_LINE, *map(len, lines))
        scratch.write_bytes(b"\n".join(lines))
        try:
            target.execute(
                "insert into observation_metadata select * from read_json($file,"
                f" format = 'newline_delimited', columns = {_SHAPE}, maximum_object_size = {room})",
                {"file": str(scratch)},
            )
        finally:
            scratch.unlink()
