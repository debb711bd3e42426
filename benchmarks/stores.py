"""Which store for the record: SQLite with blocks against DuckDB alone, on the rows of the benchmark load.

    python -m benchmarks.stores [--spans 20000]

Each variant takes the same mapped exports of 50 spans, one durable commit an export, as the writer does with
a single client. Reads are whole traces with input and output, one at a time.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Protocol

import duckdb
from rich.console import Console
from rich.table import Table

from langfuse_embedded.otlp.decode import decode_protobuf
from langfuse_embedded.otlp.event import Event
from langfuse_embedded.otlp.mapping import map_batch
from langfuse_embedded.pricing.book import Priced
from langfuse_embedded.store.bodies import BlockReader, BlockWriter
from langfuse_embedded.store.database import migrate, open_database
from langfuse_embedded.store.observation_insert import insert_rows
from langfuse_embedded.store.observation_rows import COLUMNS, body_of, row_of

from .load import SPANS_PER_TRACE, exports

_READS = 300
_SEQ = COLUMNS.index("seq")


class Store(Protocol):
    """A store under test."""

    def write(self, events: list[Event], rows: list[tuple[Any, ...]]) -> None:
        """Store an export durably."""

    def read(self, trace_id: bytes) -> int:
        """Read a trace with its texts; return the number of observations."""

    def aggregate(self) -> int:
        """Sum cost and tokens by model; return the number of models."""

    def close(self) -> None:
        """Close the files, with everything folded into them."""


class SqliteStore:
    """The engine's own schema; `together` compresses the texts of a trace as one, else each span alone."""

    def __init__(self, directory: Path, synchronous: str, *, together: bool) -> None:
        path = directory / "events.db"
        self._db = open_database(path)
        migrate(self._db, "events", path)
        self._db.execute(f"pragma synchronous={synchronous}")
        self._together = together
        self._writer, self._reader = BlockWriter(), BlockReader(self._db)

    def write(self, events: list[Event], rows: list[tuple[Any, ...]]) -> None:
        bodies = [body_of(event) for event in events]
        step = SPANS_PER_TRACE if self._together else 1
        placed, blocks = [], []
        for start in range(0, len(rows), step):
            block = rows[start][_SEQ]
            blocks.append((block, self._writer.pack(bodies[start : start + step])))
            placed += [
                (*row[:-2], block, position) for position, row in enumerate(rows[start : start + step])
            ]
        self._db.execute("begin immediate")
        insert_rows(self._db, placed)
        self._db.executemany("insert into blocks values (?, ?)", blocks)
        self._db.execute("commit")

    def read(self, trace_id: bytes) -> int:
        rows = self._db.execute(
            "select * from observations where project = 1 and trace_id = ?", (trace_id,)
        ).fetchall()
        return len([self._reader.body(row["block"], row["position"]) for row in rows])

    def aggregate(self) -> int:
        sql = "select model, sum(total_cost), sum(total_tokens), avg(end_time - start_time) from observations"
        return len(self._db.execute(f"{sql} group by model").fetchall())

    def close(self) -> None:
        self._db.execute("pragma wal_checkpoint(truncate)")
        self._db.close()


class DuckStore:
    """DuckDB alone: the same columns and the texts beside them, an index for traces."""

    def __init__(self, directory: Path) -> None:
        self._db = duckdb.connect(str(directory / "events.duckdb"))
        source = sqlite3.connect(directory / "shape.db")
        migrate(source, "events", directory / "shape.db")
        kinds = {"integer": "bigint", "text": "varchar", "real": "double", "any": "blob"}
        described = source.execute("pragma table_info(observations)").fetchall()
        source.close()
        (directory / "shape.db").unlink()
        types = {name: kinds[kind.lower()] for _, name, kind, *_ in described}
        columns = [f"{name} {types[name]}" for name in COLUMNS]
        self._db.execute(f"create table observations ({', '.join(columns)}, input varchar, output varchar)")
        self._db.execute("create index by_trace on observations (trace_id)")
        self._row = f"({', '.join('?' * (len(COLUMNS) + 2))})"

    def write(self, events: list[Event], rows: list[tuple[Any, ...]]) -> None:
        # One statement an export: row by row DuckDB takes twice as long.
        values = [
            value
            for row, event in zip(rows, events, strict=True)
            for value in (*row, event.input, event.output)
        ]
        marks = ", ".join([self._row] * len(rows))
        self._db.execute(f"insert into observations values {marks}", values)  # noqa: S608  only marks

    def read(self, trace_id: bytes) -> int:
        return len(self._db.execute("select * from observations where trace_id = ?", [trace_id]).fetchall())

    def aggregate(self) -> int:
        sql = "select model, sum(total_cost), sum(total_tokens), avg(end_time - start_time) from observations"
        return len(self._db.execute(f"{sql} group by model").fetchall())

    def close(self) -> None:
        self._db.execute("checkpoint")
        self._db.close()


@dataclass(slots=True)
class Variant:
    """A store with the number of spans it gets: slow ones get fewer."""

    name: str
    open: Callable[[Path], Store]
    share: float = 1.0


_VARIANTS = (
    Variant("SQLite, FULL, blocks by trace", lambda path: SqliteStore(path, "full", together=True)),
    Variant("SQLite, NORMAL, blocks by trace", lambda path: SqliteStore(path, "normal", together=True)),
    Variant("SQLite, FULL, each span by itself", lambda path: SqliteStore(path, "full", together=False)),
    Variant("DuckDB alone", DuckStore, share=0.1),
)


def main() -> None:
    """Measure every variant and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--spans", type=int, default=20_000)
    spans = parser.parse_args().spans
    table = Table("store", "spans/s", "commit p95", "trace read p50/p95", "aggregate", "MB per 100k")
    for variant in _VARIANTS:
        table.add_row(variant.name, *_measure(variant, int(spans * variant.share)))
    Console().print(table)


def _measure(variant: Variant, spans: int) -> list[str]:
    batches = [map_batch(decode_protobuf(one.body), now_ms=0) for one in exports(spans, seed=1)]
    mapped = [(events, _rows(events, number * len(events))) for number, events in enumerate(batches)]
    with tempfile.TemporaryDirectory(prefix="bench-stores-") as directory:
        store = variant.open(Path(directory))
        commits = [_seconds(lambda one=one: store.write(*one)) for one in mapped]
        traces = [bytes.fromhex(event.trace_id) for events in batches for event in events]
        reads = [
            _seconds(lambda trace=trace: store.read(trace)) for trace in Random(1).choices(traces, k=_READS)
        ]
        aggregates = [_seconds(store.aggregate) for _ in range(7)]
        store.close()
        size = sum(path.stat().st_size for path in Path(directory).iterdir())
    return [
        f"{spans / sum(commits):,.0f}",
        f"{_p95(commits) * 1000:.1f} ms",
        f"{statistics.median(reads) * 1000:.2f} / {_p95(reads) * 1000:.2f} ms",
        f"{statistics.median(aggregates) * 1000 / spans * 100_000:.0f} ms per 100k",
        f"{size / 2**20 / spans * 100_000:.0f}",
    ]


def _rows(events: list[Event], before: int) -> list[tuple[Any, ...]]:
    return [
        row_of(
            event,
            Priced(usage=event.usage, cost=event.cost),
            "",
            seq=before + number + 1,
            project=1,
            created_at=0,
            block=0,
            position=0,
        )
        for number, event in enumerate(events)
    ]


def _seconds(run: Callable[[], object]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def _p95(values: list[float]) -> float:
    return sorted(values)[int(0.95 * len(values))]


if __name__ == "__main__":
    main()
