"""Ask both databases of a compose stack how far they are migrated."""

from __future__ import annotations

import json
from typing import Any

from scripts.stores.clickhouse import ClickHouse
from scripts.stores.postgres import Postgres

from .rules import Levels

_UNFINISHED = (
    "SELECT to_json(migration_name) FROM _prisma_migrations"
    " WHERE finished_at IS NULL AND rolled_back_at IS NULL ORDER BY started_at;"
)
_BACKGROUND = (
    "SELECT json_build_array(name, failed_at IS NOT NULL) FROM background_migrations"
    " WHERE finished_at IS NULL ORDER BY name;"
)
# As golang-migrate keeps it: a row for each change, the last one counts.
_DIRTY = (
    "SELECT toString(version) AS version, toString(dirty) AS dirty FROM schema_migrations"
    " ORDER BY sequence DESC LIMIT 1"
)


def read_levels(postgres: Postgres, clickhouse: ClickHouse) -> Levels:
    """Return what the databases say. Raises StackError when one does not answer."""
    version, dirty = clickhouse_level(clickhouse)
    prisma = postgres.has_table("_prisma_migrations")
    rows = _rows(postgres, _BACKGROUND) if postgres.has_table("background_migrations") else []
    return Levels(
        postgres=postgres.migrations(),
        clickhouse=version,
        dirty=dirty,
        unfinished=tuple(_rows(postgres, _UNFINISHED)) if prisma else (),
        background=tuple(name for name, failed in rows if not failed),
        background_failed=tuple(name for name, failed in rows if failed),
    )


def clickhouse_level(clickhouse: ClickHouse) -> tuple[int, bool]:
    """Return the number of the last migration, and whether it was left unfinished; 0 without any."""
    if "schema_migrations" not in clickhouse.tables():
        return 0, False
    rows = clickhouse.rows(_DIRTY)
    return (int(rows[0]["version"]), rows[0]["dirty"] == "1") if rows else (0, False)


def _rows(postgres: Postgres, statement: str) -> list[Any]:
    return [json.loads(line) for line in postgres.query(statement).splitlines()]
