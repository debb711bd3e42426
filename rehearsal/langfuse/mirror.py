"""What the engine keeps in `state.db` (prompts, datasets, media records and so on), row by row in PostgreSQL.

Triggers note every changed row; it is in PostgreSQL before the request is answered. A start loads the rows
back, with ids and times as they were. PostgreSQL gets a table of the same name for each of the engine's.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

from langfuse_embedded.store.state import StateStore

from .audit import Caller, Change, record

if TYPE_CHECKING:
    from .postgres import Postgres

# Kept by tenancy.py in the server's own form; or filled by the engine itself.
_ELSEWHERE = ("organizations", "projects", "api_keys", "users", "memberships", "price_list")


@dataclass(frozen=True, slots=True)
class _Table:
    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]

    @classmethod
    def read(cls, database: sqlite3.Connection, name: str) -> _Table:
        found = database.execute(f"pragma table_info({name})").fetchall()
        keys = sorted((row for row in found if row["pk"]), key=lambda row: row["pk"])
        # A table without a key of its own: the whole row is one.
        named = tuple(row["name"] for row in keys) or tuple(row["name"] for row in found)
        return cls(name, tuple(row["name"] for row in found), named)

    def key_of(self, row: str) -> str:
        return f"json_array({', '.join(f'{row}.{name}' for name in self.key)})"

    def document_of(self, row: str) -> str:
        pairs = (f"'{name}', {row}.{name}" for name in self.columns)
        return f"json_object({', '.join(pairs)})"

    @property
    def project(self) -> str:
        return "new.project_id" if "project_id" in self.columns else "null"


class Mirror:
    """Both sides. Raises psycopg.Error when PostgreSQL is away."""

    def __init__(self, postgres: Postgres, state: StateStore) -> None:
        self._postgres = postgres
        self._db = state.db
        names = self._db.execute("select name from sqlite_master where type = 'table' order by rowid")
        self._tables = [
            _Table.read(self._db, name)
            for (name,) in names.fetchall()
            if name not in _ELSEWHERE and not name.startswith("sqlite_")
        ]

    def migrate(self) -> None:
        """Make the tables in PostgreSQL."""
        for table in self._tables:
            self._postgres.run(
                f"create table if not exists {table.name} (id text primary key, project_id text,"
                " rehearsal_row json not null)"
            )

    def load(self) -> int:
        """Fill the engine from PostgreSQL, then note every change; return how many rows there were."""
        count = 0
        self._db.execute("pragma foreign_keys = off")
        for table in self._tables:
            rows = [row for (row,) in self._postgres.rows(f"select rehearsal_row from {table.name}")]
            self._db.executemany(
                f"insert or replace into {table.name} ({', '.join(table.columns)})"
                f" values ({', '.join('?' * len(table.columns))})",
                [tuple(row.get(name) for name in table.columns) for row in rows],
            )
            count += len(rows)
        self._db.execute("pragma foreign_keys = on")
        self._watch()
        return count

    def flush(self, caller: Caller | None = None) -> None:
        """Write what changed since the last time. Until it is written, nothing is forgotten.

        What a caller changed goes to the audit log, too.
        """
        changes = self._db.execute(
            "select seq, name, id, project_id, row, old, counts from rehearsal_changes order by seq"
        ).fetchall()
        if not changes:
            return
        with self._postgres.transaction() as cursor:
            for _, name, key, project_id, row, _, _ in changes:
                if row is None:
                    cursor.execute(f"delete from {name} where id = %s", (key,))
                else:
                    cursor.execute(
                        f"insert into {name} values (%s, %s, %s) on conflict (id) do update set"
                        " project_id = excluded.project_id, rehearsal_row = excluded.rehearsal_row",
                        (key, project_id, json.dumps(json.loads(row))),
                    )
            if caller is not None:
                audited = [one for one in changes if one["counts"]]
                record(
                    cursor, caller, [self._audited(one["name"], one["old"], one["row"]) for one in audited]
                )
        self._db.execute("delete from rehearsal_changes where seq <= ?", (changes[-1]["seq"],))

    def _audited(self, name: str, old: str | None, row: str | None) -> Change:
        after = json.loads(row) if row else None
        before = json.loads(old) if old else None
        if name == "dataset_items" and after and not before:
            # The engine keeps a row for each version; a deletion is one, too.
            earlier = self._db.execute(
                "select * from dataset_items where project_id = ? and id = ? and valid_from < ?"
                " order by valid_from desc limit 1",
                (after["project_id"], after["id"], after["valid_from"]),
            ).fetchone()
            before = dict(earlier) if earlier and not earlier["is_deleted"] else None
            after = None if after["is_deleted"] else after
        return Change(name, before, after)

    def _watch(self) -> None:
        self._db.execute(
            "create temp table rehearsal_changes (seq integer primary key, name text, id text,"
            " project_id text, row text, old text, counts integer)"
        )
        insert = "insert into rehearsal_changes (name, id, project_id, row, old, counts) values"
        for table in self._tables:
            old, new = table.document_of("old"), table.document_of("new")
            # A deletion of dataset items is a version; a version ends where the next one begins.
            counts = int(table.name != "dataset_items")
            gone = f"{insert} ('{table.name}', {table.key_of('old')}, null, null,"
            came = f"{insert} ('{table.name}', {table.key_of('new')}, {table.project}, {new},"
            # The old row of an update goes first, as its key may be another. It is one change all the same.
            for event, steps in (
                ("insert", f"{came} null, 1);"),
                ("update", f"{gone} null, 0); {came} {old}, {counts});"),
                ("delete", f"{gone} {old}, 1);"),
            ):
                self._db.execute(
                    f"create temp trigger rehearsal_{table.name}_{event} after {event} on main.{table.name}"
                    f" begin {steps} end"
                )
