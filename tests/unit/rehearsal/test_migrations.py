"""Which versions start on which ClickHouse."""

from __future__ import annotations

from typing import Any, cast

import httpx
import pytest

from rehearsal.langfuse.migrations import (
    CURRENT,
    LEVELS,
    MigrationFailed,
    clickhouse_level,
    migrate_clickhouse,
    record_level,
)


class FakeClickHouse:
    """Knows its history, and which tables it has."""

    def __init__(self) -> None:
        self.history: list[dict[str, int]] = []

    def run(self, sql: str, **parameters: str) -> None:
        if sql.startswith("INSERT INTO schema_migrations"):
            self.history.append({name: int(value) for name, value in parameters.items()})
        elif "rehearsal_absent" in sql:
            request = httpx.Request("POST", "http://clickhouse:8123/")
            answer = httpx.Response(500, text="Code: 60. Table does not exist", request=request)
            raise httpx.HTTPStatusError("refused", request=request, response=answer)

    def rows(self, _sql: str) -> list[dict[str, int]]:
        return self.history[-1:]


@pytest.fixture
def clickhouse() -> Any:
    return cast(Any, FakeClickHouse())


def test_an_empty_database_is_brought_to_the_level_of_the_version(clickhouse: Any) -> None:
    assert migrate_clickhouse(clickhouse, CURRENT) == 2
    assert clickhouse_level(clickhouse) == (LEVELS[CURRENT].clickhouse, False)
    assert migrate_clickhouse(clickhouse, CURRENT) == 0


def test_a_newer_version_applies_what_is_missing(clickhouse: Any) -> None:
    migrate_clickhouse(clickhouse, "4.58.0")
    assert migrate_clickhouse(clickhouse, "4.60.0") == 2


def test_an_older_version_refuses_a_newer_database(clickhouse: Any) -> None:
    migrate_clickhouse(clickhouse, "4.60.0")
    with pytest.raises(MigrationFailed, match="no migration found for version 47"):
        migrate_clickhouse(clickhouse, CURRENT)


def test_a_step_that_fails_leaves_a_dirty_database_until_it_is_forced(clickhouse: Any) -> None:
    with pytest.raises(MigrationFailed, match="migration 48 failed: Code: 60"):
        migrate_clickhouse(clickhouse, "4.61.0")
    assert clickhouse_level(clickhouse) == (48, True)
    for version in ("4.61.0", "4.60.0"):
        with pytest.raises(MigrationFailed, match="Dirty database version 48"):
            migrate_clickhouse(clickhouse, version)
    record_level(clickhouse, 47, dirty=False)
    assert migrate_clickhouse(clickhouse, "4.60.0") == 0
