"""An external PostgreSQL: the schema `public` of the database that DATABASE_URL names, and nothing else.

Its user may not make a second database. What a restore fills, and what it replaces, are schemas beside
`public`; they change places in one transaction.
"""

# ruff: noqa: S608 - statements are made of constants of this module
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.core.errors import CommandFailed

from .errors import StoreError
from .external import POSTGRES
from .postgres import (
    BEFORE,
    COUNTS,
    DATABASE,
    DUMP_OF_SCHEMA,
    DUMP_STATEMENTS,
    ONE_SCHEMA,
    RESTORED,
    Counts,
    Postgres,
    copy_bytes,
    read_counts,
)

_SCHEMA = "public"
_ASIDE = "langfuse_aside"
"""Where the schema is within the transaction that fills another one."""
# The login is in the service file that PGSERVICE names.
_PSQL = "psql --no-psqlrc --quiet --no-align --tuples-only --set ON_ERROR_STOP=1 --file -"
_SQL = ["sh", "-c", f"exec {_PSQL}"]
# What other programs hold is waited for a while, not for good.
_PATIENCE = "SET lock_timeout = '60s';"
# Those of an extension stay with it. Sequences that belong to a column go with their table.
_MOVE = """
DO $move$
DECLARE statement text;
BEGIN
    FOR statement IN
        SELECT format('ALTER %s %I.%I SET SCHEMA {there}', CASE c.relkind WHEN 'v' THEN 'VIEW'
                WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' WHEN 'f' THEN 'FOREIGN TABLE'
                WHEN 'c' THEN 'TYPE' ELSE 'TABLE' END, '{here}', c.relname)
        FROM pg_catalog.pg_class c
        WHERE c.relnamespace = '{here}'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c')
            AND NOT EXISTS (
                SELECT FROM pg_catalog.pg_depend d
                WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid
                    AND (d.deptype = 'e' OR c.relkind = 'S' AND d.deptype IN ('a', 'i'))
            )
        UNION ALL
        SELECT format('ALTER TYPE %I.%I SET SCHEMA {there}', '{here}', t.typname)
        FROM pg_catalog.pg_type t
        WHERE t.typnamespace = '{here}'::regnamespace AND t.typtype IN ('e', 'd', 'r')
            AND NOT EXISTS (
                SELECT FROM pg_catalog.pg_depend d
                WHERE d.classid = 'pg_catalog.pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e'
            )
        UNION ALL
        SELECT format('ALTER ROUTINE %s SET SCHEMA {there}', p.oid::regprocedure)
        FROM pg_catalog.pg_proc p
        WHERE p.pronamespace = '{here}'::regnamespace
            AND NOT EXISTS (
                SELECT FROM pg_catalog.pg_depend d
                WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid
                    AND d.deptype IN ('e', 'i')
            )
    LOOP
        EXECUTE statement;
    END LOOP;
END
$move$;
"""
# pg_restore of 17 sets what older servers do not know, before anything else.
_FILL = (
    "set -o pipefail; { printf '%s\\n' \"$0\""
    f" && pg_restore {ONE_SCHEMA} --no-owner --no-privileges --file=-"
    " | sed -e '1,60{/^SET transaction_timeout = 0;$/d;}'"
    f" && printf '%s\\n' \"$1\"; }} | {_PSQL}"
)


class ExternalPostgres(Postgres):
    """See Postgres. The program that asks has to run: external.reached."""

    __slots__ = ()

    @property
    def dump_name(self) -> str:
        return DUMP_OF_SCHEMA

    def size(self) -> int:
        return int(
            self.query(
                "SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class"
                f" WHERE relnamespace = '{_SCHEMA}'::regnamespace AND relkind IN ('r', 'm');"
            )
        )

    def has_tables(self) -> bool:
        """Return whether there is anything that a restore would replace."""
        return self.query(f"SELECT count(*) > 0 FROM pg_tables WHERE schemaname = '{_SCHEMA}';") == "t"

    def dump(self, into: Path, database: str = DATABASE) -> Counts:
        statements = DUMP_STATEMENTS.replace("--no-owner", f"--no-owner {ONE_SCHEMA}")
        with self._explained(), into.open("wb") as file:
            said = self.services.into_file(POSTGRES, _SQL, file, statements)
        return read_counts(said.splitlines())

    def load(self, dump: Path) -> None:
        """Fill a schema beside the one in use, in one transaction: dumps name the schema that they are of."""
        before = "\n".join(
            [
                _PATIENCE,
                "BEGIN;",
                *_new_schema(RESTORED),
                *_new_schema(_ASIDE),
                _move(_SCHEMA, _ASIDE),
            ]
        )
        after = "\n".join(
            [
                _PATIENCE,
                _move(_SCHEMA, RESTORED),
                _move(_ASIDE, _SCHEMA),
                f"DROP SCHEMA {_ASIDE};",
                "COMMIT;",
            ]
        )
        with self._explained(), dump.open("rb") as file:
            self.services.write(
                POSTGRES,
                ["bash", "-c", _FILL, before, after],
                lambda stream: copy_bytes(iter(lambda: file.read(1 << 20), b""), stream.write),
            )
        if not self._has_schema(RESTORED):
            raise StoreError("PostgreSQL did not finish the restore of a dump.", fix="repeat it.")

    def exchange(self) -> None:
        """Put the restored schema in the place of the one in use, which stays under another name."""
        self._change(
            *_new_schema(BEFORE), _move(_SCHEMA, BEFORE), _move(RESTORED, _SCHEMA), f"DROP SCHEMA {RESTORED};"
        )

    def exchange_back(self) -> None:
        if self._has_schema(BEFORE):
            self._change(
                *_new_schema(RESTORED),
                _move(_SCHEMA, RESTORED),
                _move(BEFORE, _SCHEMA),
                f"DROP SCHEMA {BEFORE};",
            )
        self.drop(RESTORED)

    def drop(self, name: str) -> None:
        """Remove a schema with what is in it."""
        self._change(f"DROP SCHEMA IF EXISTS {name} CASCADE;")

    def counts(self, database: str = DATABASE) -> Counts:
        return read_counts(self.query(COUNTS).splitlines())

    def query(self, statements: str, database: str = DATABASE) -> str:
        return self.services.execute(POSTGRES, _SQL, stdin=statements).strip("\n")

    @property
    def _role(self) -> str:
        return "current_user"

    def _has_schema(self, name: str) -> bool:
        return self.query(f"SELECT count(*) FROM pg_namespace WHERE nspname = '{name}';") == "1"

    def _change(self, *statements: str) -> None:
        # Without this psql shows what a DROP takes with it.
        quiet = "SET client_min_messages = warning;"
        with self._explained():
            self.query("\n".join([quiet, _PATIENCE, "BEGIN;", *statements, "COMMIT;"]))

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Say what an external PostgreSQL has to allow where it does not."""
        try:
            yield
        except CommandFailed as error:
            said = str(error)
            if "permission denied" in said or "must be owner" in said:
                raise StoreError(
                    "PostgreSQL does not allow this to the user of DATABASE_URL.",
                    details=error.details,
                    fix="let it own the tables, and GRANT CREATE ON DATABASE to it, for schemas beside "
                    f"{_SCHEMA}.",
                ) from error
            if "lock timeout" in said:
                raise StoreError(
                    "Another program uses the tables of PostgreSQL.",
                    details=error.details,
                    fix="stop web and worker wherever they run with this database, then repeat.",
                ) from error
            raise


def _move(here: str, there: str) -> str:
    return _MOVE.format(here=here, there=there)


def _new_schema(name: str) -> tuple[str, str]:
    return f"DROP SCHEMA IF EXISTS {name} CASCADE;", f"CREATE SCHEMA {name};"
