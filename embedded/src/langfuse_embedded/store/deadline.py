"""How long one query may read: statements of SQLite and DuckDB are interrupted, and say so."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

QUERY_SECONDS = 20.0
# The check costs a microsecond: this many steps take some milliseconds.
_STEPS = 50_000
_LOOK_EVERY_S = 1.0


class QueryTooLong(Exception):
    """A query was interrupted. The text is for the client."""

    def __init__(self) -> None:
        super().__init__(
            f"This query takes longer than {QUERY_SECONDS:g} s: narrow the time range, or filter by what "
            "finds fewer rows"
        )


class Interruptible(Protocol):
    """A connection or cursor that another thread can interrupt."""

    def interrupt(self) -> None: ...


@contextmanager
def limited(connection: sqlite3.Connection) -> Iterator[None]:
    """Interrupt what SQLite does in the block when it takes too long. Raises QueryTooLong."""
    deadline = time.monotonic() + QUERY_SECONDS
    connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            raise QueryTooLong from error
        raise
    finally:
        connection.set_progress_handler(None, 0)


class Interrupter:
    """Interrupts what other engines than SQLite do for too long: one thread looks after all that run."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running: dict[int, tuple[float, Interruptible]] = {}
        self._thread: threading.Thread | None = None
        self._is_asleep = self._is_closed = False

    @contextmanager
    def limited(self, cursor: Interruptible) -> Iterator[None]:
        """Interrupt what the cursor does in the block when it takes too long. Raises QueryTooLong."""
        begin = time.monotonic()
        self._watch(cursor, begin + QUERY_SECONDS)
        try:
            yield
        except Exception as error:
            if (
                type(error).__name__ == "InterruptException"
                and time.monotonic() - begin >= QUERY_SECONDS * 0.9
            ):
                raise QueryTooLong from error
            raise
        finally:
            with self._changed:
                del self._running[id(cursor)]

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _watch(self, cursor: Interruptible, deadline: float) -> None:
        with self._changed:
            self._running[id(cursor)] = deadline, cursor
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="query-deadlines", daemon=True)
                self._thread.start()
            elif self._is_asleep:
                self._changed.notify()

    def _look(self) -> None:
        with self._changed:
            while not self._is_closed:
                self._is_asleep = not self._running
                # To start a thread for each query, or to wake this one, would cost more than many queries do.
                self._changed.wait(None if self._is_asleep else min(_LOOK_EVERY_S, QUERY_SECONDS / 4))
                now = time.monotonic()
                for deadline, cursor in self._running.values():
                    if deadline <= now:
                        cursor.interrupt()
