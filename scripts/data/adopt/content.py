# ruff: noqa: S608 - names are those that ClickHouse itself gave
"""What databases hold, as counts and sums of hashes: two that are equal by this have the same rows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from scripts.stores.clickhouse import ClickHouse
from scripts.stores.postgres import Postgres

Content = dict[str, list[str]]
"""By store, table and project: how many rows, and the sum of their hashes."""

_WITHOUT_PROJECT = ("organizations", "projects", "users", "organization_memberships")
# Where an object lies differs on purpose.
_PLACES = ("bucket_name", "bucket_path", "blob_storage_file_path")
_TABLES = r"""
SET TimeZone = 'UTC';
SELECT format('SELECT json_build_array(%L, %s, count(*)::text, coalesce(sum(hashtextextended((to_jsonb(t) - %L::text[])::text, 0)), 0)::text)'
    ' FROM %I t %s', table_name, CASE WHEN of_project THEN 'project_id::text' ELSE '''''' END,
    '{bucket_name,bucket_path}', table_name,
    CASE WHEN of_project THEN 'WHERE project_id IS NOT NULL GROUP BY project_id' ELSE '' END)
FROM (
    SELECT table_name, EXISTS (
        SELECT FROM information_schema.columns c
        WHERE c.table_schema = 'public' AND c.table_name = t.table_name AND column_name = 'project_id'
    ) AS of_project
    FROM information_schema.tables t WHERE table_schema = 'public' AND table_type = 'BASE TABLE'
) AS tables
WHERE of_project OR table_name IN ({names})
ORDER BY table_name \gexec
"""  # noqa: E501


def content_of(postgres: Postgres, database: str, clickhouse: ClickHouse) -> Content:
    """Return what both databases hold. Raises StackError."""
    lines = postgres.query(hashes_of_tables(), database)
    found = {
        f"postgres {table} {project}".rstrip(): [count, total]
        for table, project, count, total in map(json.loads, filter(None, lines.splitlines()))
    }
    return {**found, **dict(_clickhouse(clickhouse))}


def hashes_of_tables() -> str:
    """Return statements for psql: a line of JSON a table and project, with rows and the sum of hashes."""
    return _TABLES.replace("{names}", ", ".join(f"'{name}'" for name in _WITHOUT_PROJECT))


def _clickhouse(clickhouse: ClickHouse) -> Iterator[tuple[str, list[str]]]:
    columns: dict[str, list[str]] = {}
    for row in clickhouse.rows(
        "SELECT table, name FROM system.columns WHERE database = currentDatabase()"
        " AND default_kind NOT IN ('MATERIALIZED', 'ALIAS') ORDER BY table, position"
    ):
        columns.setdefault(row["table"], []).append(row["name"])
    for table, engine in clickhouse.tables().items():
        if "MergeTree" not in engine or "project_id" not in columns.get(table, ()):
            continue
        final = " FINAL" if "Replacing" in engine else ""
        named = ", ".join(f"`{name}`" for name in columns[table] if name not in _PLACES)
        # Hashed as one tuple: a hash of several arguments is NULL as soon as one of them is.
        for row in clickhouse.rows(
            "SELECT project_id AS project, toString(count()) AS rows,"
            f" toString(sum(cityHash64(tuple({named})))) AS total FROM `{table}`{final} GROUP BY project_id"
        ):
            yield f"clickhouse {table} {row['project']}", [row["rows"], row["total"]]


def differences(before: Mapping[str, list[str]], after: Mapping[str, list[str]]) -> list[str]:
    """Return what is not the same on both sides, a line each."""
    return [
        f"{name}: {_shown(before.get(name))} there, {_shown(after.get(name))} here"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]


def _shown(found: list[str] | None) -> str:
    return f"{found[0]} rows (hash {found[1]})" if found else "nothing"
