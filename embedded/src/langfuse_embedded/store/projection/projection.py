"""The projection as a whole: open or rebuild, follow `events.db`, run statements."""

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langfuse_embedded.store.deadline import QUERY_SECONDS, Interrupter, QueryTooLong
from langfuse_embedded.store.hexid import pack

from .feed import OBSERVATIONS, SCORE_METADATA, SCORES, Copied, copy_rows
from .metadata import copy_metadata

if TYPE_CHECKING:
    import duckdb

    from langfuse_embedded.store.events import EventsReader

log = logging.getLogger(__name__)

_FILE = "metrics.duckdb"
_MEMORY_LIMIT = "512MB"
# Waking a second thread takes longer than it saves until it has a row group (122,880 rows) of its own: at
# 100,000 rows it doubled the p95 of an aggregate. At a million it takes a third off.
_ONE_THREAD_UPTO = 250_000
_THREADS = 2
_COPIED: tuple[Copied, ...] = (OBSERVATIONS, SCORES)
# Rows copied in one transaction: a crash repeats at most these.
_STRIDE = 100_000
# The background thread looks once a second; it copies when ingestion rests, or when a query would wait long.
_LOOK_EVERY_S = 1.0
_WORTH_IT = 2_000
_TOO_FAR_BEHIND = 100_000


class ProjectionClosed(Exception):
    """The engine stops: rows that are still to be copied wait for the next start."""


class MetricsProjection:
    """Answers statements over the newest commit of `events.db`. Safe to call from any thread.

    DuckDB costs 65 MB of memory and 0.1 s to import, so nothing is opened before the first query, or before
    there is something worth copying ahead of it.
    """

    def __init__(self, data_dir: Path, events: EventsReader) -> None:
        self._directory, base = _without_patterns(data_dir)
        self.path = base / _FILE
        # DuckDB looks for options behind `?` in the path of a database, and writes its log elsewhere: what is
        # copied anyway is copied into memory then, with each start.
        self._in_memory = "?" in str(data_dir.resolve())
        self._scratch = base / f"{_FILE}.lines"
        self._events = events
        # Guards the connection, and the copying: one thread copies, the others wait and find it done.
        self._lock = threading.Lock()
        self._db: duckdb.DuckDBPyConnection | None = None
        self._threads = 1
        self._seen = {"rows": 0, "metadata": -1}
        self._deadlines = Interrupter()
        self._turns = threading.BoundedSemaphore(os.cpu_count() or 1)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="metrics-feed", daemon=True)

    @property
    def watermark(self) -> int:
        """The number in the sequence of `events.db` up to which rows are copied."""
        return self._seen["rows"]

    def start(self) -> None:
        """Begin to copy in the background; not to be used where rows become visible with a lag."""
        self._thread.start()

    def close(self) -> None:
        """Stop copying and close the file."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._deadlines.close()
        with self._lock:
            self._discard()
        if self._directory is not None:
            os.close(self._directory)
            self._directory = None

    def rows(
        self, sql: str, values: dict[str, Any], *, metadata: bool = False, horizon: int | None = None
    ) -> list[tuple[Any, ...]]:
        """Return the rows of a statement. All that is committed in `events.db` now is counted.

        With `metadata`, the tables of metadata are filled, too. What is beyond `horizon` in the sequence is
        not visible yet.

        Raises:
            duckdb.Error: the statement is wrong.
            ProjectionClosed: `close` was called while rows were copied.
        """
        import duckdb

        for last_try in (False, True):
            try:
                cursor = self._current(metadata=metadata, horizon=horizon)
                with closing(cursor), self._turn(), self._deadlines.limited(cursor):
                    return cursor.execute(sql, values).fetchall()
            except (duckdb.FatalException, duckdb.IOException, duckdb.InternalException) as error:
                if last_try:
                    raise
                log.warning("%s is damaged and is built anew: %s", self.path, error)
                self._rebuild()
        raise AssertionError("unreachable")

    def _current(self, *, metadata: bool, horizon: int | None) -> duckdb.DuckDBPyConnection:
        with self._lock, self._events.connection() as source:
            db = self._opened(source)
            self._catch_up(db, source, metadata=metadata, horizon=horizon)
            self._use_threads(db)
            return db.cursor()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait for one of the processors: more statements at once would only take turns with everybody else.

        Raises:
            QueryTooLong: there was none within the time that a query has.
        """
        if not self._turns.acquire(timeout=QUERY_SECONDS):
            raise QueryTooLong
        try:
            yield
        finally:
            self._turns.release()

    def _rebuild(self) -> None:
        with self._lock:
            self._discard()
            self._remove()

    # Everything below holds the lock.

    def _opened(self, source: sqlite3.Connection) -> duckdb.DuckDBPyConnection:
        if self._db is None:
            import duckdb

            try:
                self._db = self._open(source)
            except duckdb.Error as error:
                log.warning("%s cannot be used and is built anew: %s", self.path, error)
                self._remove()
                self._db = self._open(source)
        return self._db

    def _open(self, source: sqlite3.Connection) -> duckdb.DuckDBPyConnection:
        self._scratch.unlink(missing_ok=True)
        db = self._connect()
        try:
            fits = self._fits(db, source)
        except Exception:
            db.close()
            raise
        if not fits:
            db.close()
            self._remove()
            db = self._connect()
            self._create(db)
        self._seen = dict(db.execute("select name, seq from watermarks").fetchall())
        self._seen.setdefault("metadata", -1)
        return db

    def _connect(self) -> duckdb.DuckDBPyConnection:
        import duckdb

        config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": _MEMORY_LIMIT,
            "threads": 1,
            "temp_directory": "" if self._in_memory else str(self.path) + ".tmp",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        return duckdb.connect(":memory:" if self._in_memory else str(self.path), config=config)

    def _create(self, db: duckdb.DuckDBPyConnection) -> None:
        db.execute("begin")
        db.execute(_schema())
        db.execute("insert into watermarks values ('rows', 0), ($name, 0)", {"name": _version()})
        db.execute("commit")

    def _fits(self, db: duckdb.DuckDBPyConnection, source: sqlite3.Connection) -> bool:
        """Whether the file is of this version, and a copy of this `events.db`."""
        tables = db.execute("select count(*) from duckdb_tables() where table_name = 'watermarks'").fetchone()
        if tables is None or not tables[0]:
            return False
        marks = dict(db.execute("select name, seq from watermarks").fetchall())
        if _version() not in marks:
            return False
        if marks["rows"] > source.execute("select last from sequence").fetchone()[0]:
            return False
        newest = db.execute("select seq, id from observations order by seq desc limit 1").fetchone()
        if newest is None:
            return True
        seq, identifier = newest
        return (
            source.execute(
                "select 1 from observations where seq = ?1 and span_id = ?2"
                " union all select 1 from deletions where kind = 'observation' and row = ?1",
                (seq, pack(identifier)),
            ).fetchone()
            is not None
        )

    def _use_threads(self, db: duckdb.DuckDBPyConnection) -> None:
        wanted = _THREADS if self._seen["rows"] > _ONE_THREAD_UPTO else 1
        if wanted != self._threads:
            db.execute(f"set threads = {wanted}")
            self._threads = wanted

    def _discard(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db, self._threads = None, 1

    def _remove(self) -> None:
        for suffix in ("", ".wal", ".tmp"):
            path = Path(f"{self.path}{suffix}")
            if path.is_dir():
                for file in path.iterdir():
                    file.unlink()
                path.rmdir()
            else:
                path.unlink(missing_ok=True)

    def _catch_up(
        self,
        db: duckdb.DuckDBPyConnection,
        source: sqlite3.Connection,
        *,
        metadata: bool,
        horizon: int | None,
    ) -> None:
        # One transaction of SQLite: rows, deletions and the last number belong together.
        source.execute("begin")
        try:
            last: int = source.execute("select last from sequence").fetchone()[0]
            if horizon is not None:
                last = min(last, horizon)
            while self._seen["rows"] < last:
                if self._stopping.is_set():
                    raise ProjectionClosed
                self._step(db, source, min(last, self._seen["rows"] + _STRIDE))
            if metadata and self._seen["metadata"] < last:
                self._copy_metadata(db, source, last)
        finally:
            source.execute("rollback")

    def _step(self, db: duckdb.DuckDBPyConnection, source: sqlite3.Connection, upto: int) -> None:
        """Copy what the numbers up to `upto` stand for, in one transaction with the watermark."""
        after = self._seen["rows"]
        db.execute("begin")
        try:
            for kind, tables in _FORGOTTEN.items():
                gone = _deleted(source, kind, after, upto)
                for table in tables if gone else ():
                    db.execute(f"delete from {table} where seq in (select unnest($gone))", {"gone": gone})
            for copied in _COPIED:
                copy_rows(source, db, copied, after, upto, self._scratch)
            db.execute("update watermarks set seq = $seq where name = 'rows'", {"seq": upto})
            db.execute("commit")
        except BaseException:
            db.execute("rollback")
            raise
        self._seen["rows"] = upto

    def _copy_metadata(self, db: duckdb.DuckDBPyConnection, source: sqlite3.Connection, upto: int) -> None:
        after = self._seen["metadata"]
        db.execute("begin")
        try:
            copy_metadata(source, db, after, upto, self._scratch)
            db.execute("delete from watermarks where name = 'metadata'")
            db.execute("insert into watermarks values ('metadata', $seq)", {"seq": upto})
            db.execute("commit")
        except BaseException:
            db.execute("rollback")
            raise
        self._seen["metadata"] = upto

    # The background thread.

    def _follow(self) -> None:
        before, failing = -1, False
        while not self._stopping.wait(_LOOK_EVERY_S):
            try:
                before, failing = self._look(before), False
            except ProjectionClosed:
                return
            except Exception:
                # A query meets the same trouble and reports it to its client: the log says it once.
                if not failing:
                    log.exception("copying to %s failed, and is tried again", self.path)
                failing = True

    def _look(self, before: int) -> int:
        """Copy when it is time to; return the last number of `events.db`."""
        with self._events.connection() as source:
            last: int = source.execute("select last from sequence").fetchone()[0]
        behind = last - self._seen["rows"]
        if (behind >= _WORTH_IT and last == before) or behind >= _TOO_FAR_BEHIND:
            self._current(metadata=False, horizon=None).close()
        return last


def _without_patterns(data_dir: Path) -> tuple[int | None, Path]:
    """Return a path whose files DuckDB reads as they are named, and the descriptor behind it, if any.

    In the path of a file to read, `?`, `*` and `[` are patterns.
    """
    open_files = Path("/proc/self/fd")
    if not any(character in str(data_dir) for character in "?*[") or not open_files.is_dir():
        return None, data_dir
    descriptor = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY)
    return descriptor, open_files / str(descriptor)


_FORGOTTEN: dict[str, Sequence[str]] = {
    "observation": ("observations", "observation_metadata"),
    "score": ("scores", "score_metadata"),
}


def _deleted(source: sqlite3.Connection, kind: str, after: int, upto: int) -> list[int]:
    rows = source.execute(
        "select row from deletions where kind = ? and at > ? and at <= ?", (kind, after, upto)
    )
    return [row[0] for row in rows]


def _schema() -> str:
    return resources.files(__package__).joinpath("schema.sql").read_text("utf-8")


def _version() -> str:
    """Return what stands for the tables and for how their columns are made."""
    text = _schema() + repr((_COPIED, SCORE_METADATA))
    return "version " + hashlib.sha256(text.encode()).hexdigest()[:16]
