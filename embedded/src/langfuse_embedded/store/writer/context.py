"""What a command of the writer works with: the database inside a transaction, numbers, project keys."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from langfuse_embedded.clock import now_ms
from langfuse_embedded.store.database import BUSY_TIMEOUT_MS, migrate, open_database
from langfuse_embedded.store.events import EVENTS_FILE

from .lookups import StateLookups
from .protocol import Payload

log = logging.getLogger("langfuse_embedded.writer")

OBSERVATION = "observation"
SCORE = "score"

# 64 MB of log: an index page that many groups touch is copied into the file once, not every 4 MB.
# A tenth less CPU a span from 100,000 spans on (`python -m benchmarks.curve --upto 500000`).
_CHECKPOINT_PAGES = 16_000
_MAX_SENDERS = 10_000


class WriteContext:
    """The write side of `events.db`. One transaction holds all requests of a group, one savepoint each.

    Attributes:
        db: the connection; statements belong to the current transaction.
        data_dir: where the files lie.
        now: Unix milliseconds at the begin of the group, for `created_at`.
        has_log: whether something was committed since the write-ahead log was last folded into the file.
    """

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self._lookups: StateLookups | None = None
        self.path = data_dir / EVENTS_FILE
        self.db = open_database(self.path)
        migrate(self.db, "events", self.path)
        self.db.execute("pragma cache_size=-32768")
        self.db.execute(f"pragma wal_autocheckpoint={_CHECKPOINT_PAGES}")
        self.now = 0
        self.has_log = False
        self._last = self._stored = 0
        self._projects: dict[str, int] = {}
        self._senders: dict[tuple[str, ...], int] = {}
        self._reload()

    def begin(self) -> None:
        """Start the transaction of a group."""
        self.db.execute("begin immediate")
        self.now = now_ms()

    def run(
        self, command: Callable[[WriteContext, dict[str, Any], Payload], Any], head: Any, body: Payload
    ) -> Any:
        """Run one command; when it raises, nothing of it is kept, and other requests of the group are."""
        self.db.execute("savepoint request")
        try:
            result = command(self, head, body)
        except BaseException:
            if self.db.in_transaction:
                self.db.execute("rollback to request")
                self._reload(keep_numbers=True)
            raise
        self.db.execute("release request")
        return result

    def commit(self) -> None:
        """Make the group durable."""
        if self._last != self._stored:
            self.db.execute("update sequence set last = ?", (self._last,))
        self.db.execute("commit")
        self.has_log = True
        self._stored = self._last

    def fold(self) -> None:
        """Fold the write-ahead log into the file and give its space back, unless someone reads just now.

        Without it the log keeps the size to which a burst of exports has let it grow, up to 64 MB.
        """
        self.has_log = False
        self.db.execute("pragma busy_timeout=0")
        try:
            busy, _, _ = self.db.execute("pragma wal_checkpoint(truncate)").fetchone()
            self.has_log = bool(busy)
        except sqlite3.OperationalError as error:
            # Everything committed is in the log, and stays readable there.
            log.warning("the write-ahead log of %s was not folded into it: %s", self.path, error)
        finally:
            self.db.execute(f"pragma busy_timeout={BUSY_TIMEOUT_MS}")

    def rollback(self) -> None:
        """Drop the group."""
        if self.db.in_transaction:
            self.db.execute("rollback")
        self._reload()

    def take(self, count: int) -> int:
        """Return the first of `count` new numbers of the sequence."""
        first = self._last + 1
        self._last += count
        return first

    @property
    def lookups(self) -> StateLookups:
        """Prices and prompt ids. Opened with the first use: the server may still be creating `state.db`."""
        if self._lookups is None:
            self._lookups = StateLookups(self.data_dir / "state.db")
        return self._lookups

    def project_key(self, project_id: str) -> int:
        """Return the number under which rows of a project are stored."""
        key = self._projects.get(project_id)
        if key is None:
            self.db.execute("insert into projects (id) values (?) on conflict do nothing", (project_id,))
            row = self.db.execute("select key from projects where id = ?", (project_id,)).fetchone()
            key = self._projects[project_id] = row[0]
        return key

    def sender_key(self, sender: Sequence[str] | None) -> int | None:
        """Return the number under which rows name who sent them: public key, name and version of the SDK."""
        if sender is None:
            return None
        parts = tuple(sender)
        key = self._senders.get(parts)
        if key is None:
            self.db.execute(
                "insert into senders (api_key, sdk_name, sdk_version) values (?, ?, ?)"
                " on conflict do nothing",
                parts,
            )
            row = self.db.execute(
                "select key from senders where api_key = ? and sdk_name = ? and sdk_version = ?", parts
            ).fetchone()
            if len(self._senders) >= _MAX_SENDERS:
                self._senders.clear()
            key = self._senders[parts] = row[0]
        return key

    def forget(self, kind: str, rows: Iterable[int]) -> None:
        """Record that rows are gone, for those who follow the sequence."""
        self.db.executemany(
            "insert into deletions (at, kind, row) values (?, ?, ?)",
            [(self.take(1), kind, row) for row in rows],
        )

    def close(self) -> None:
        """Close the file; SQLite folds the write-ahead log into it."""
        if self._lookups is not None:
            self._lookups.close()
        self.db.close()

    def _reload(self, *, keep_numbers: bool = False) -> None:
        # After a rollback the remembered keys may name rows that are gone. Numbers given out inside a group
        # are not given again: a gap is harmless.
        self._projects.clear()
        self._senders.clear()
        if not keep_numbers:
            self._last = self._stored = self.db.execute("select last from sequence").fetchone()[0]
