"""PostgreSQL of a compose stack: a dump with row counts of the same moment, and databases side by side."""

# ruff: noqa: S608 - statements are made of constants of this module
from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.core.errors import CommandFailed
from scripts.docker.compose import Compose

from .errors import StoreError
from .identifiers import Needles

SERVICE = "postgres"
DATABASE = "langfuse"
RESTORED, BEFORE = "langfuse_restored", "langfuse_before_restore"
"""The database that a restore fills, and the one that it replaced."""

Counts = dict[str, dict[str, int]]

_LOGIN = 'export PGPASSWORD="$POSTGRES_PASSWORD" PGUSER="$POSTGRES_USER" PGHOST=127.0.0.1 PGDATABASE="$0"; '
_PSQL = f"{_LOGIN}exec psql --no-psqlrc --quiet --no-align --tuples-only --set ON_ERROR_STOP=1 --file -"
# As the user that only reads; a container of an older stack does not know its password yet.
_BACKUP = (
    'if [ -n "${POSTGRES_BACKUP_PASSWORD:-}" ]; then'
    ' export PGPASSWORD="$POSTGRES_BACKUP_PASSWORD" PGUSER=langfuse_backup;'
    ' else export PGPASSWORD="$POSTGRES_PASSWORD" PGUSER="$POSTGRES_USER"; fi;'
    ' export PGHOST=127.0.0.1 PGDATABASE="$0"; '
    "exec psql --no-psqlrc --quiet --no-align --tuples-only --set ON_ERROR_STOP=1 --file -"
)
# As the administrator, who makes everything the property of the server's user (config/postgres/roles.sql).
_RESTORE = (
    f"{_LOGIN}exec pg_restore --exit-on-error --no-owner --no-privileges --role=langfuse_app"
    ' --dbname "$PGDATABASE" "$@"'
)
ONE_SCHEMA = "--schema=public"
DUMP, DUMP_OF_SCHEMA = "postgres.dump", "postgres.public.dump"
"""How the dump of a whole database is called, and that of its schema: that one makes the schema, too."""
# A row's own fields, and those of a document in it.
_FIELDS = 'strict $.**{0 to 1} ? (@.type() == "object").keyvalue()'
_IS_ID = (
    "(field ->> 'key' = 'id' OR field ->> 'key' LIKE '%\\_id') AND field ->> 'key' NOT IN"
    " ('project_id', 'org_id', 'user_id', 'author_user_id', 'annotator_user_id', 'dataset_id', 'queue_id')"
)
# A user may change what its own sessions begin with. One that begins reading only has to leave that first.
_CHANGES = (
    "SET default_transaction_read_only = off;\n"
    "SELECT format('ALTER ROLE %I IN DATABASE %I {what}', {role}, current_database()) \\gexec\n"
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
    " WHERE usename = {role} AND datname = current_database() AND pid <> pg_backend_pid();"
)
_TRIES = 20
_TEXTS_A_QUESTION = 1000

# Writes a statement a table; each gives rows of table, project (empty where it has none) and count as JSON.
COUNTS = r"""
SELECT format('SELECT json_build_array(%L, %s, count(*)) FROM %I.%I %s', table_name,
    CASE WHEN of_project THEN 'coalesce(project_id::text, '''')' ELSE '''''' END, table_schema, table_name,
    CASE WHEN of_project THEN 'GROUP BY project_id' ELSE '' END)
FROM (
    SELECT table_schema, table_name, EXISTS (
        SELECT FROM information_schema.columns c
        WHERE c.table_schema = t.table_schema AND c.table_name = t.table_name AND column_name = 'project_id'
    ) AS of_project
    FROM information_schema.tables t WHERE table_schema = 'public' AND table_type = 'BASE TABLE'
) AS tables
ORDER BY table_name \gexec
"""
# The dump sees what the transaction sees, which has counted the rows before. Its bytes go to standard output,
# the counts to standard error. Not compressed: the repository does that, and finds what it has already.
DUMP_STATEMENTS = rf"""
\o |cat >&2
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
{COUNTS}
SELECT pg_export_snapshot() AS snapshot \gset
\o
\setenv SNAPSHOT :snapshot
\! exec pg_dump --format=custom --compress=0 --no-owner --snapshot="$SNAPSHOT"
\if :SHELL_ERROR
    SELECT 1 / 0 AS "pg_dump failed";
\endif
COMMIT;
"""


@dataclass(frozen=True, slots=True)
class Postgres:
    """The bundled PostgreSQL. Methods raise StackError when they fail."""

    services: Compose
    sleep: Callable[[float], None] = time.sleep

    @property
    def dump_name(self) -> str:
        """How a file with its dump is called."""
        return DUMP

    def size(self) -> int:
        """Return the size of the database in bytes."""
        return int(self.query(f"SELECT pg_database_size('{DATABASE}');"))

    def migrations(self) -> int:
        """Return how many migrations are done."""
        if not self.has_table("_prisma_migrations"):
            return 0
        return int(self.query("SELECT count(*) FROM _prisma_migrations WHERE finished_at IS NOT NULL;"))

    def has_table(self, name: str) -> bool:
        """Return whether there is a table of that name."""
        return self.query(f"SELECT to_regclass('public.{name}') IS NOT NULL;") == "t"

    def projects(self) -> set[str]:
        """Return the ids of the projects that were not deleted."""
        rows = self.query("SELECT to_json(id) FROM projects WHERE deleted_at IS NULL;")
        return set(map(json.loads, rows.splitlines()))

    def deleted_traces(self, project: str, traces: Collection[str]) -> set[str]:
        """Return which of these traces of a project were deleted on purpose."""
        if not traces or not self.has_table("pending_deletions"):
            return set()
        rows = self.query(
            "SELECT to_json(object_id) FROM pending_deletions"
            f" WHERE project_id = {literal(project)} AND object = 'trace'"
            f" AND object_id IN ({', '.join(map(literal, sorted(traces)))});"
        )
        return set(map(json.loads, rows.splitlines()))

    def all_deleted_traces(self) -> list[str]:
        """Return the ids of all traces that were deleted on purpose, of any project."""
        if not self.has_table("pending_deletions"):
            return []
        rows = self.query("SELECT to_json(object_id) FROM pending_deletions WHERE object = 'trace';")
        return list(map(json.loads, rows.splitlines()))

    def ids_naming(self, table: str, project: str, texts: Collection[str]) -> set[str]:
        """Return the ids of a project's rows of a table that refer to one of these ids."""
        rows = self._naming(table, project, texts, f"SELECT to_json(id) FROM {table} t WHERE")
        return set(map(json.loads, rows))

    def named_in(self, table: str, project: str, texts: Collection[str]) -> set[str]:
        """Return which of these ids a project's rows of a table refer to."""
        rows = self._naming(table, project, texts, f"SELECT to_json(t) FROM {table} t WHERE")
        return {text for text in texts if any(json.dumps(text) in row for row in rows)}

    def delete_naming(self, table: str, project: str, texts: Collection[str]) -> list[Any]:
        """Delete a project's rows of a table that refer to one of these ids; return them as JSON.

        By content and not by column: which column holds the id of a trace has changed between versions of the
        server. An id that chance has made counts wherever it is; one that a person chose (a session may be
        called `default`) only in a field that is an id. A table that is not there has none.
        """
        delete = f"DELETE FROM {table} t WHERE"
        return [
            json.loads(row) for row in self._naming(table, project, texts, delete, " RETURNING to_json(t)")
        ]

    def delete_saying(self, table: str, project: str, texts: Collection[str]) -> int:
        """Delete a project's rows of a table that have one of these texts as a value; return how many."""
        if not texts or not self.has_table(table):
            return 0
        condition = (
            f"t.project_id = {literal(project)} AND EXISTS"
            " (SELECT FROM jsonb_path_query(to_jsonb(t), 'strict $.**') AS found"
            f" WHERE found #>> '{{}}' = {any_of(texts)})"
        )
        return len(self.query(f"DELETE FROM {table} t WHERE {condition} RETURNING 1;").splitlines())

    def shrink(self, tables: Iterable[str]) -> None:
        """Write tables anew without the rows that are deleted in them."""
        for table in tables:
            if self.has_table(table):
                self.query(f"VACUUM FULL {table};")

    def _naming(
        self, table: str, project: str, texts: Collection[str], select: str, rest: str = ""
    ) -> list[str]:
        if not texts or not self.has_table(table):
            return []
        found: list[str] = []
        ordered = sorted(texts)
        for begin in range(0, len(ordered), _TEXTS_A_QUESTION):
            some = Needles.of(ordered[begin : begin + _TEXTS_A_QUESTION])
            anywhere = (
                "EXISTS (SELECT FROM jsonb_path_query(to_jsonb(t), 'strict $.**') AS found"
                f" WHERE found #>> '{{}}' = {any_of(some.random)})"
            )
            as_id = (
                f"EXISTS (SELECT FROM jsonb_path_query(to_jsonb(t), '{_FIELDS}') AS field"
                f" WHERE {_IS_ID} AND field ->> 'value' = {any_of(some.chosen)})"
            )
            conditions = [one for one, ids in ((anywhere, some.random), (as_id, some.chosen)) if ids]
            condition = (
                f" coalesce(to_jsonb(t) ->> 'project_id', {literal(project)}) = {literal(project)}"
                f" AND ({' OR '.join(conditions)})"
            )
            found += self.query(f"{select}{condition}{rest};").splitlines()
        return found

    def counts(self, database: str = DATABASE) -> Counts:
        """Return the rows of all tables by project."""
        return read_counts(self.query(COUNTS, database).splitlines())

    def dump(self, into: Path, database: str = DATABASE) -> Counts:
        """Write a dump to a file; return the rows of all tables as they are in it."""
        with into.open("wb") as file:
            said = self.services.into_file(SERVICE, ["sh", "-c", _BACKUP, database], file, DUMP_STATEMENTS)
        return read_counts(said.splitlines())

    def load(self, dump: Path) -> None:
        """Fill a database beside the one in use from a dump."""
        self.drop(RESTORED)
        self.query(f"CREATE DATABASE {RESTORED} OWNER langfuse_app TEMPLATE template0;", "postgres")
        # The schema is there already.
        options = [ONE_SCHEMA] if dump.name == DUMP_OF_SCHEMA else []
        with dump.open("rb") as file:
            self.services.write(
                SERVICE,
                ["sh", "-c", _RESTORE, RESTORED, *options],
                lambda stream: copy_bytes(iter(lambda: file.read(1 << 20), b""), stream.write),
            )

    def exchange(self) -> None:
        """Put the restored database in the place of the one in use, which stays under another name."""
        self.drop(BEFORE)
        self._rename((DATABASE, BEFORE), (RESTORED, DATABASE))

    def exchange_back(self) -> None:
        """Undo `exchange`, if it was done. May be repeated."""
        if self.has_database(BEFORE):
            self.drop(DATABASE)
            self._rename((BEFORE, DATABASE))
        self.drop(RESTORED)

    def forget_before(self) -> None:
        """Remove what `exchange` has replaced."""
        self.drop(BEFORE)

    def has_database(self, name: str) -> bool:
        """Return whether there is a database of that name."""
        return self.query(f"SELECT count(*) FROM pg_database WHERE datname = '{name}';", "postgres") == "1"

    def drop(self, name: str) -> None:
        """Remove a database, whoever uses it."""
        self.query(f"DROP DATABASE IF EXISTS {name} WITH (FORCE);", "postgres")

    def refuse_changes(self) -> None:
        """Let the server of this stack read only. Its connections are ended; it makes new ones by itself."""
        self._begin_sessions_with("SET default_transaction_read_only = on")

    def allow_changes(self) -> None:
        """Undo `refuse_changes`, if it was done. May be repeated."""
        self._begin_sessions_with("RESET default_transaction_read_only")

    def _begin_sessions_with(self, what: str) -> None:
        self.query(_CHANGES.format(role=self._role, what=what))

    @property
    def _role(self) -> str:
        """The expression for the user of the server."""
        return "'langfuse_app'"

    def query(self, statements: str, database: str = DATABASE) -> str:
        """Return what psql answers to statements, without the last line end."""
        return self.services.execute(SERVICE, ["sh", "-c", _PSQL, database], stdin=statements).strip("\n")

    def _rename(self, *pairs: tuple[str, str]) -> None:
        """Rename databases in one transaction. Health checks and exporters that are in them are sent away."""
        names = ", ".join(f"'{old}'" for old, _ in pairs)
        statements = [
            f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname IN ({names});",
            "BEGIN;",
            *(f"ALTER DATABASE {old} RENAME TO {new};" for old, new in pairs),
            "COMMIT;",
        ]
        for attempt in range(1, _TRIES + 1):
            try:
                self.query("\n".join(statements), "postgres")
            except CommandFailed as error:
                if attempt == _TRIES or "being accessed by other users" not in str(error):
                    raise
                self.sleep(0.3)
            else:
                return


def read_counts(lines: Iterable[str]) -> Counts:
    """Return rows by table and project from lines of JSON. Raises StoreError for anything else."""
    counts: Counts = {}
    for line in filter(None, lines):
        try:
            table, project, count = json.loads(line)
        except ValueError as error:
            raise StoreError(f"PostgreSQL said more than its row counts: {line[:200]}") from error
        counts.setdefault(table, {})[project] = count
    return counts


def copy_bytes(chunks: Iterable[bytes], write: Callable[[bytes], object]) -> None:
    """Write every chunk."""
    for chunk in chunks:
        write(chunk)


def any_of(texts: Iterable[str]) -> str:
    """Return what a text is compared with to be one of these."""
    return f"ANY (ARRAY[{', '.join(map(literal, sorted(texts)))}]::text[])"


def literal(text: str) -> str:
    """Return a text as it is in a statement."""
    return "'" + text.replace("'", "''") + "'"
