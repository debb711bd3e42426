"""`events.db` for readers: connections that see every commit at once, and the keys of projects."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .database import open_database

EVENTS_FILE = "events.db"
# Blocks are 1-4 KB: on pages of 4 KB a third of the file would be air (docs/reference/performance.md).
PAGE_SIZE = 8192
_CACHE_KIB = 8192


class EventsReader:
    """Read-only connections to `events.db`: one for the event loop, and a pool for threads.

    Every statement starts at the newest commit, so what was acknowledged is readable at once.
    """

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / EVENTS_FILE
        self.db = self._connect()
        self._idle: deque[sqlite3.Connection] = deque()
        self._projects: dict[str, int] = {}

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

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection to a thread, for statements that may scan."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect()
        try:
            yield connection
        finally:
            self._idle.append(connection)

    def close(self) -> None:
        """Close all connections; no thread may hold one."""
        while self._idle:
            self._idle.pop().close()
        self.db.close()

    def _connect(self) -> sqlite3.Connection:
        connection = open_database(self.path, readonly=True)
        connection.execute(f"pragma cache_size=-{_CACHE_KIB}")
        return connection
