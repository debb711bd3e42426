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


@contextmanager
def interrupted_when_late(cursor: Interruptible) -> Iterator[None]:
    """Interrupt what another engine does in the block when it takes too long. Raises QueryTooLong."""
    timer = threading.Timer(QUERY_SECONDS, cursor.interrupt)
    timer.daemon = True
    timer.start()
    begin = time.monotonic()
    try:
        yield
    except Exception as error:
        if type(error).__name__ == "InterruptException" and time.monotonic() - begin >= QUERY_SECONDS * 0.9:
            raise QueryTooLong from error
        raise
    finally:
        timer.cancel()
