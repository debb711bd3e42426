"""`state.db`: everything relational (tenancy, prompts, datasets, …), written by the server process."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .database import migrate, open_database, transaction
from .deadline import limited
from .tenancy import Tenancy


class HasDb(Protocol):
    """What the stores of `state.db` read and write with."""

    @property
    def db(self) -> sqlite3.Connection: ...


@dataclass(frozen=True, slots=True)
class StateReader:
    """A connection that only reads, for a thread."""

    db: sqlite3.Connection


class StateStore:
    """The relational store. One connection: SQLite serialises writers anyway, and reads take microseconds."""

    def __init__(self, data_dir: Path, salt: str) -> None:
        self.path = data_dir / "state.db"
        self.db = open_database(self.path)
        migrate(self.db, "state", self.path)
        self.tenancy = Tenancy(self.db, salt)
        self._idle: deque[sqlite3.Connection] = deque()

    def version(self) -> int:
        """Return a number that changes when another process changed the database."""
        number: int = self.db.execute("pragma data_version").fetchone()[0]
        return number

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write all or nothing: commit at the end of the block, roll back when it raises."""
        with transaction(self.db):
            yield

    @contextmanager
    def reader(self) -> Iterator[StateReader]:
        """Lend a connection to a thread, which sees every commit. Raises QueryTooLong."""
        try:
            lent = self._idle.pop()
        except IndexError:
            lent = open_database(self.path, readonly=True)
        try:
            with limited(lent):
                yield StateReader(lent)
        finally:
            self._idle.append(lent)

    def probe(self) -> None:
        """Write something that changes nothing. Raises sqlite3.OperationalError when the store refuses."""
        with self.transaction():
            self.db.execute("update price_list set version = version")

    def close(self) -> None:
        """Close the file; SQLite folds the write-ahead log into it."""
        while self._idle:
            self._idle.pop().close()
        self.db.close()
