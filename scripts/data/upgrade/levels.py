"""Ask both databases of a compose stack how far they are migrated."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from scripts.docker.compose import WORKER, Compose
from scripts.stores.background import UNFINISHED, BackgroundMigration, parse_rows
from scripts.stores.clickhouse import ClickHouse
from scripts.stores.opening import clickhouse_of, postgres_of
from scripts.stores.postgres import Postgres

from .rules import Levels

_UNFINISHED = (
    "SELECT to_json(migration_name) FROM _prisma_migrations"
    " WHERE finished_at IS NULL AND rolled_back_at IS NULL ORDER BY started_at;"
)
# As golang-migrate keeps it: a row for each change, the last one counts.
_DIRTY = (
    "SELECT toString(version) AS version, toString(dirty) AS dirty FROM schema_migrations"
    " ORDER BY sequence DESC LIMIT 1"
)


def levels_of_stack(services: Compose) -> Levels:
    """Return what the databases of a stack say; external ones have to be within reach.

    Raises:
        StackError: one does not answer.
    """
    return read_levels(postgres_of(services), clickhouse_of(services), services.variables(WORKER))


def read_levels(
    postgres: Postgres, clickhouse: ClickHouse, worker: Mapping[str, str] = MappingProxyType({})
) -> Levels:
    """Return what the databases say; migrations that a worker with these variables never runs are left out.

    Raises:
        StackError: a database does not answer.
    """
    version, dirty = clickhouse_level(clickhouse)
    prisma = postgres.has_table("_prisma_migrations")
    background = [one for one in _background(postgres) if not one.dormant(worker)]
    return Levels(
        postgres=postgres.migrations(),
        clickhouse=version,
        dirty=dirty,
        unfinished=tuple(_rows(postgres, _UNFINISHED)) if prisma else (),
        background=tuple(one.name for one in background if not one.failed),
        background_failed=tuple(one.name for one in background if one.failed),
    )


def clickhouse_level(clickhouse: ClickHouse) -> tuple[int, bool]:
    """Return the number of the last migration, and whether it was left unfinished; 0 without any."""
    if "schema_migrations" not in clickhouse.tables():
        return 0, False
    rows = clickhouse.rows(_DIRTY)
    return (int(rows[0]["version"]), rows[0]["dirty"] == "1") if rows else (0, False)


def _background(postgres: Postgres) -> list[BackgroundMigration]:
    return parse_rows(postgres.query(f"{UNFINISHED};")) if postgres.has_table("background_migrations") else []


def _rows(postgres: Postgres, statement: str) -> list[Any]:
    return [json.loads(line) for line in postgres.query(statement).splitlines()]
