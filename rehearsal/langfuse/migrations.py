"""The versions that the stand-ins pretend to be, and how each brings both databases to its level.

As in Langfuse: steps forward only, PostgreSQL before ClickHouse, and a step of ClickHouse that fails leaves
`dirty` behind, after which no version starts until somebody repairs and forces a number.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from . import schema_clickhouse, schema_postgres

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .postgres import Postgres
    from .stores import ClickHouse

CURRENT = "4.59.0"
P3009 = (
    "Error: P3009\n\n"
    "migrate found failed migrations in the target database, new migrations will not be applied."
    " Read more about how to resolve migration issues in a production database:"
    " https://pris.ly/d/migrate-resolve"
)
"""What Prisma says (its documentation of error codes), and then ends with 1."""


class MigrationFailed(Exception):
    """A database cannot be brought to the level of this version. The text is what the server's log shows."""


@dataclass(frozen=True, slots=True)
class Level:
    """Up to where a version migrates."""

    postgres: int
    clickhouse: int


LEVELS = {
    "4.58.0": Level(1, 45),
    CURRENT: Level(2, 46),
    "4.60.0": Level(3, 47),
    # Fails on purpose: its step of ClickHouse cannot work.
    "4.61.0": Level(4, 48),
}

_INDEX = """create index pending_deletions_by_object
    on pending_deletions (project_id, object, is_deleted, object_id, id)"""
_BACKGROUND = """insert into background_migrations (id, name, script, args)
    values ('rehearsal-4-60', '20261001_rehearsal_backfill', 'rehearsalBackfill', '{}')"""
# Langfuse ships such rows (packages/shared/prisma/migrations/20260701115500_* at v4.16.0): no worker runs
# them, and they never finish, until an operator sets the variable.
_DORMANT = """insert into background_migrations (id, name, script, args)
    values ('rehearsal-dormant', '20260701_v4_step_4_backfill_events_full', 'rehearsalHistoricBackfill',
    '{"envGate": "LANGFUSE_BACKGROUND_MIGRATION_V4_ENABLE_HISTORIC_BACKFILL"}')"""
_GATES = "LANGFUSE_BACKGROUND_MIGRATION_"
_POSTGRES = (
    ("20260801000000_rehearsal_init", (*schema_postgres.TABLES, _DORMANT)),
    ("20260901000000_rehearsal_4_59", (_INDEX,)),
    (
        "20261001000000_rehearsal_4_60",
        ("alter table projects add column rehearsal_since_4_60 text", _BACKGROUND),
    ),
    ("20261101000000_rehearsal_4_61", ("alter table projects add column rehearsal_since_4_61 text",)),
)
_CLICKHOUSE = {
    45: schema_clickhouse.TABLES,
    46: ("ALTER TABLE scores ADD COLUMN IF NOT EXISTS execution_trace_id Nullable(String)",),
    47: ("ALTER TABLE events_full ADD COLUMN IF NOT EXISTS rehearsal_since_4_60 UInt8 DEFAULT 0",),
    48: ("ALTER TABLE rehearsal_absent ADD COLUMN nothing UInt8",),
}


def migrate_postgres(postgres: Postgres, version: str) -> int:
    """Apply what is missing, each step in a transaction; return how many. Steps of newer versions stay.

    As `prisma migrate deploy`: it notes that a step has begun before it runs it, and runs none while one is
    noted that neither finished nor was rolled back.

    Raises:
        MigrationFailed: a step does not work, or an earlier one failed and nobody has resolved it.
        psycopg.Error: the database is away.
    """
    import psycopg  # only the images have it

    postgres.run(schema_postgres.HISTORY)
    if failed := postgres.rows(
        "select migration_name, started_at::text from _prisma_migrations"
        " where finished_at is null and rolled_back_at is null order by started_at"
    ):
        lines = "\n".join(f"The `{name}` migration started at {at} UTC failed" for name, at in failed)
        raise MigrationFailed(f"{P3009}\n{lines}")
    done = {
        name
        for (name,) in postgres.rows(
            "select migration_name from _prisma_migrations where rolled_back_at is null"
        )
    }
    wanted = [step for step in _POSTGRES[: LEVELS[version].postgres] if step[0] not in done]
    for name, statements in wanted:
        id_ = str(uuid.uuid4())
        postgres.run(
            "insert into _prisma_migrations (id, checksum, migration_name) values (%s, %s, %s)",
            id_,
            hashlib.sha256(name.encode()).hexdigest(),
            name,
        )
        try:
            with postgres.transaction() as cursor:
                for statement in statements:
                    cursor.execute(statement)
        except psycopg.OperationalError:
            raise
        except psycopg.DatabaseError as error:
            postgres.run("update _prisma_migrations set logs = %s where id = %s", str(error), id_)
            raise MigrationFailed(f"Error: P3018\nMigration name: {name}\nDatabase error: {error}") from error
        postgres.run(
            "update _prisma_migrations set finished_at = now(), applied_steps_count = 1 where id = %s", id_
        )
    return len(wanted)


def resolve(postgres: Postgres, name: str, *, applied: bool) -> None:
    """Do what `prisma migrate resolve` does to a step that failed: count it as done, or as never begun.

    Raises:
        MigrationFailed: there is no such step, or it is not in a failed state.
    """
    if name not in {step for step, _ in _POSTGRES}:
        raise MigrationFailed(
            f"Error: P3017\nThe migration {name} could not be found. Make sure that it exists."
        )
    failed = "migration_name = %s and finished_at is null and rolled_back_at is null"
    if not postgres.run(f"update _prisma_migrations set rolled_back_at = now() where {failed}", name):
        raise MigrationFailed(
            f"Error: P3012\nMigration `{name}` cannot be rolled back because it is not in a failed state."
        )
    if applied:
        postgres.run(
            "insert into _prisma_migrations (id, checksum, migration_name, finished_at)"
            " values (%s, %s, %s, now())",
            str(uuid.uuid4()),
            hashlib.sha256(name.encode()).hexdigest(),
            name,
        )


def migrate_clickhouse(clickhouse: ClickHouse, version: str) -> int:
    """Apply what is missing; return how many steps.

    Raises:
        MigrationFailed: an earlier step was left unfinished, a step does not work, or the database is newer.
        httpx.HTTPError: the database is away.
    """
    clickhouse.run(schema_clickhouse.HISTORY)
    have, dirty = clickhouse_level(clickhouse)
    if dirty:
        raise MigrationFailed(f"error: Dirty database version {have}. Fix and force version.")
    target = LEVELS[version].clickhouse
    if have > target:
        raise MigrationFailed(f"error: no migration found for version {have}: read down for version {have}")
    steps = [number for number in sorted(_CLICKHOUSE) if have < number <= target]
    for number in steps:
        record_level(clickhouse, number, dirty=True)
        for statement in _CLICKHOUSE[number]:
            try:
                clickhouse.run(statement)
            except httpx.HTTPStatusError as error:
                reason = " ".join(error.response.text.split())
                raise MigrationFailed(f"error: migration {number} failed: {reason}") from error
        record_level(clickhouse, number, dirty=False)
    return len(steps)


def clickhouse_level(clickhouse: ClickHouse) -> tuple[int, bool]:
    """Return the number of the last step, 0 when there was none, and whether it was left unfinished."""
    rows = clickhouse.rows(
        "SELECT toInt32(version) AS version, dirty FROM schema_migrations ORDER BY sequence DESC LIMIT 1"
    )
    return (rows[0]["version"], bool(rows[0]["dirty"])) if rows else (0, False)


def record_level(clickhouse: ClickHouse, number: int, *, dirty: bool) -> None:
    """Write down which step the database is at."""
    clickhouse.run(
        "INSERT INTO schema_migrations SELECT {version:Int64}, {dirty:UInt8}, {sequence:UInt64}",
        version=str(number),
        dirty=str(int(dirty)),
        sequence=str(time.time_ns()),
    )


def finish_background_migrations(postgres: Postgres, environment: Mapping[str, str]) -> int:
    """Do what the worker does beside its jobs: finish migrations that may take long; return how many.

    One with an `envGate` stays as it is until that variable is `true`
    (worker/src/backgroundMigrations/backgroundMigrationManager.ts:42-77 at v4.16.0).

    Raises:
        psycopg.Error: the database is away, or web has not migrated it.
    """
    gates = [name for name, value in environment.items() if name.startswith(_GATES) and value == "true"]
    return postgres.run(
        "update background_migrations set finished_at = now(), worker_id = 'rehearsal'"
        " where finished_at is null and failed_at is null"
        " and (args ->> 'envGate' is null or args ->> 'envGate' = any(%s))",
        gates,
    )
