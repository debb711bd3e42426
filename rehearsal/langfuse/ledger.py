"""What web keeps in PostgreSQL: the projects to know, and the writes that do not go through the queue."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import psycopg

from langfuse_embedded.config import InitialProject, InitialUser

from .stores import open_postgres

_SCHEMA = (
    "create table if not exists rehearsal_project (seq bigserial primary key, wanted jsonb not null unique)",
    """create table if not exists rehearsal_write (
        seq bigserial primary key, method text not null, target text not null, headers jsonb not null,
        body bytea not null)""",
)


@dataclass(frozen=True, slots=True)
class Write:
    """A request that changed something: what is needed to send it again."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


class Ledger:
    """The tables of the stand-in; one connection, made anew after a failure. Raises psycopg.Error."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._lock = threading.Lock()
        self._connection: psycopg.Connection[Any] | None = None
        self._seen = 0

    def migrate(self) -> None:
        """Make the tables."""
        with self._cursor() as cursor:
            for statement in _SCHEMA:
                cursor.execute(statement)

    def check(self) -> None:
        """Ask the database something."""
        with self._cursor() as cursor:
            cursor.execute("select 1")

    def add_project(self, wanted: InitialProject) -> None:
        """Keep a project for every web container of this stack, also for those that run already."""
        with self._cursor() as cursor:
            cursor.execute(
                "insert into rehearsal_project (wanted) values (%s) on conflict do nothing",
                (json.dumps(asdict(wanted)),),
            )

    def new_projects(self) -> list[InitialProject]:
        """Return the projects that this method has not returned yet."""
        with self._cursor() as cursor:
            cursor.execute(
                "select seq, wanted from rehearsal_project where seq > %s order by seq", (self._seen,)
            )
            rows = cursor.fetchall()
        if rows:
            self._seen = rows[-1][0]
        return [_project(wanted) for _, wanted in rows]

    def add_write(self, write: Write) -> None:
        """Keep a write."""
        with self._cursor() as cursor:
            cursor.execute(
                "insert into rehearsal_write (method, target, headers, body) values (%s, %s, %s, %s)",
                (write.method, write.target, json.dumps(dict(write.headers)), write.body),
            )

    def writes(self) -> list[Write]:
        """Return all writes in their order."""
        with self._cursor() as cursor:
            cursor.execute("select method, target, headers, body from rehearsal_write order by seq")
            return [Write(*row) for row in cursor.fetchall()]

    @contextmanager
    def _cursor(self) -> Iterator[psycopg.Cursor[Any]]:
        with self._lock:
            if self._connection is None or self._connection.closed:
                self._connection = open_postgres(self._environment)
            try:
                with self._connection.cursor() as cursor:
                    yield cursor
            except psycopg.OperationalError:
                self._connection.close()
                raise


def _project(wanted: dict[str, Any]) -> InitialProject:
    user = wanted.pop("user")
    return InitialProject(**wanted, user=InitialUser(**user) if user else None)
