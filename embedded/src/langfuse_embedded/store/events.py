"""`events.db` for readers: connections that see every commit at once, and the keys of projects."""

from __future__ import annotations

import sqlite3
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .database import open_database
from .deadline import limited
from .observation_query import ObservationReader

EVENTS_FILE = "events.db"
_CACHE_KIB = 8192


class EventsReader:
    """Read-only connections to `events.db`: one for the event loop, and a pool for threads.

    Every statement starts at the newest commit, so what was acknowledged is readable at once. `db` and
    `observations` belong to the event loop.

    With `lag_ms` (`INGEST_LAG_MS`) rows are durable at once and visible later, as on a server with a queue:
    tests that forget to poll fail here too.
    """

    def __init__(self, data_dir: Path, lag_ms: int = 0) -> None:
        self.path = data_dir / EVENTS_FILE
        self.db = self._connect()
        self.observations = ObservationReader(self.db)
        self._idle: deque[tuple[sqlite3.Connection, ObservationReader]] = deque()
        self._projects: dict[str, int] = {}
        self._lag = lag_ms / 1000
        self._visible = self.last_sequence()
        self._pending: deque[tuple[float, int]] = deque()

    def project_key(self, project_id: str) -> int:
        """Return the number of a project in the rows, or 0 when it has none yet. Event loop only."""
        key = self._projects.get(project_id)
        if key is None:
            row = self.db.execute("select key from projects where id = ?", (project_id,)).fetchone()
            if row is None:
                return 0
            key = self._projects[project_id] = row[0]
        return key

    def last_sequence(self) -> int:
        """Return the last number given to a row. Event loop only."""
        last: int = self.db.execute("select last from sequence").fetchone()[0]
        return last

    def committed(self) -> None:
        """Note that something was stored just now. Event loop only."""
        if self._lag:
            self._pending.append((time.monotonic() + self._lag, self.last_sequence()))

    def horizon(self) -> int | None:
        """Return the last visible number of the sequence, ``None`` for no limit. Event loop only."""
        if not self._lag:
            return None
        now = time.monotonic()
        while self._pending and self._pending[0][0] <= now:
            self._visible = self._pending.popleft()[1]
        return self._visible

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection to a thread, for statements that may scan."""
        with self._lend() as (connection, _):
            yield connection

    @contextmanager
    def observations_in_thread(self) -> Iterator[ObservationReader]:
        """Lend a reader of observations to a thread; the event loop has `observations`."""
        with self._lend() as (_, observations):
            yield observations

    @contextmanager
    def _lend(self) -> Iterator[tuple[sqlite3.Connection, ObservationReader]]:
        try:
            lent = self._idle.pop()
        except IndexError:
            connection = self._connect()
            lent = connection, ObservationReader(connection)
        try:
            with limited(lent[0]):
                yield lent
        finally:
            self._idle.append(lent)

    def close(self) -> None:
        """Close all connections; no thread may hold one."""
        while self._idle:
            self._idle.pop()[0].close()
        self.db.close()

    def _connect(self) -> sqlite3.Connection:
        connection = open_database(self.path, readonly=True)
        connection.execute(f"pragma cache_size=-{_CACHE_KIB}")
        return connection
