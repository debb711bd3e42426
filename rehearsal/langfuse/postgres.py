"""PostgreSQL as web and worker use it: one connection each, made anew after a failure."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg

from .stores import open_postgres


class Postgres:
    """The database of a stack. Every method raises psycopg.Error when it is away."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._lock = threading.Lock()
        self._connection: psycopg.Connection[Any] | None = None

    @contextmanager
    def transaction(self) -> Iterator[psycopg.Cursor[Any]]:
        """Carry out the statements of the block, all or none."""
        with self._lock:
            if self._connection is None or self._connection.closed:
                self._connection = open_postgres(self._environment)
            try:
                with self._connection.transaction(), self._connection.cursor() as cursor:
                    yield cursor
            except psycopg.OperationalError:
                self._connection.close()
                raise

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Return what a query finds."""
        with self.transaction() as cursor:
            found: list[tuple[Any, ...]] = cursor.execute(statement, values).fetchall()
            return found

    def run(self, statement: str, *values: object) -> int:
        """Carry out one statement; return how many rows it changed."""
        with self.transaction() as cursor:
            cursor.execute(statement, values)
            return int(cursor.rowcount)

    def run_each(self, statement: str, rows: Sequence[Sequence[object]]) -> None:
        """Carry out one statement for each row, all or none."""
        with self.transaction() as cursor:
            cursor.executemany(statement, rows)
