"""`state.db`: everything relational (tenancy, prompts, datasets, …), written by the server process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .database import migrate, open_database, transaction
from .tenancy import Tenancy


class StateStore:
    """The relational store. One connection: SQLite serialises writers anyway, and reads take microseconds."""

    def __init__(self, data_dir: Path, salt: str) -> None:
        self.path = data_dir / "state.db"
        self.db = open_database(self.path)
        migrate(self.db, "state", self.path)
        self.tenancy = Tenancy(self.db, salt)

    def version(self) -> int:
        """Return a number that changes when another process changed the database."""
        number: int = self.db.execute("pragma data_version").fetchone()[0]
        return number

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write all or nothing: commit at the end of the block, roll back when it raises."""
        with transaction(self.db):
            yield

    def probe(self) -> None:
        """Write something that changes nothing. Raises sqlite3.OperationalError when the store refuses."""
        with self.transaction():
            self.db.execute("update price_list set version = version")

    def close(self) -> None:
        """Close the file; SQLite folds the write-ahead log into it."""
        self.db.close()
