"""From one version to another and back: what was there before and what came in meanwhile is all there."""

from __future__ import annotations

import pytest

from scripts.core.errors import EXIT_FAILED, EXIT_OK, StackError, UsageError
from scripts.data.upgrade import repair
from scripts.data.upgrade.journal import journal_of
from scripts.data.upgrade.levels import clickhouse_level
from scripts.data.upgrade.steps import Step
from scripts.stores.clickhouse import ClickHouse
from scripts.stores.postgres import Postgres
from tests.scenarios.load import wait_healthy
from tests.scenarios.stack import Stack, with_environment
from tests.waiting import wait_for

from .drill import (
    FAILING,
    INTERRUPTED_MIGRATION,
    NEW,
    OLD,
    Killed,
    breaking,
    content,
    has_score,
    levels,
    lost,
    post_score,
    repair_in_vain,
    roll_back,
    services_of,
    upgrade,
    versions,
)


def test_a_check_changes_nothing_and_says_what_stands_in_the_way(seeded: Stack) -> None:
    was = levels(seeded)
    assert upgrade(seeded, OLD, check=True) == EXIT_OK
    assert upgrade(seeded, NEW, check=True) == EXIT_OK
    assert upgrade(seeded, "4.58.0", check=True) == EXIT_FAILED
    with pytest.raises(UsageError, match="Refused for 2 reasons") as caught:
        upgrade(seeded, "4.58.0")
    assert [line.partition(":")[0] for line in caught.value.details] == ["downgrade", "sdk"]
    assert upgrade(seeded, "4.98.7", check=True) == EXIT_FAILED, "there is no such image"
    postgres = Postgres(services_of(seeded))
    dormant = "SELECT count(*) FROM background_migrations WHERE finished_at IS NULL AND args ? 'envGate';"
    assert postgres.query(dormant) == "1", "such a row is there in every stack, and stops no upgrade"
    postgres.query(
        "INSERT INTO background_migrations (id, name, script, args) VALUES ('t', 'test-backfill', 's', '{}');"
    )
    try:
        assert upgrade(seeded, NEW, check=True) == EXIT_FAILED
        assert upgrade(seeded, NEW, check=True, allow="background") == 3
    finally:
        postgres.query("DELETE FROM background_migrations WHERE id = 't';")
    assert journal_of(seeded.context.layout).read() is None
    assert versions(seeded) == {OLD}
    assert levels(seeded) == was


def test_a_killed_upgrade_goes_on_and_a_finished_one_can_be_rolled_back(
    seeded: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, was = content(seeded), levels(seeded)
    with monkeypatch.context() as patched:
        breaking(patched, Step.WEB, Killed())
        with pytest.raises(Killed):
            upgrade(seeded, NEW)
    with pytest.raises(UsageError, match=f"An upgrade to {NEW} was interrupted"):
        upgrade(seeded, FAILING)
    # Without the examples, as everywhere on stand-ins: they wait for a worker that takes its time.
    quick = with_environment(seeded, PYTEST_ADDOPTS="-k 'not example'")
    assert upgrade(quick, smoke=True) == EXIT_OK
    assert versions(seeded) == {NEW}
    found = levels(seeded)
    assert (found.clickhouse, found.background) == (47, ())
    assert found.postgres >= 3
    assert lost(before, content(seeded)) == {}

    post_score(seeded, "by-the-new-version")
    wait_for(lambda: has_score(seeded, "by-the-new-version"), "the score")
    assert roll_back(seeded) == EXIT_OK
    wait_healthy(seeded)
    assert versions(seeded) == {OLD}
    assert levels(seeded) == was
    assert lost(before, content(seeded)) == {}
    assert has_score(seeded, "by-the-new-version")
    with pytest.raises(UsageError, match="There is no upgrade to roll back"):
        roll_back(seeded)


def test_a_dirty_migration_is_repaired(seeded: Stack) -> None:
    before = content(seeded)
    clickhouse = ClickHouse(services_of(seeded))
    clickhouse.query("INSERT INTO schema_migrations SELECT 46, 1, toUInt64(now64(9)) * 1000000000")
    assert clickhouse_level(clickhouse) == (46, True)
    services_of(seeded).stop("langfuse-web")
    with pytest.raises(StackError, match="langfuse-web"):
        seeded.up()
    assert upgrade(seeded, NEW, check=True) == EXIT_FAILED
    assert repair.repair_migration(seeded.context, yes=True, dry_run=True) == EXIT_OK
    assert clickhouse_level(clickhouse) == (46, True)
    assert repair.repair_migration(seeded.context, yes=True, dry_run=False) == EXIT_OK
    wait_healthy(seeded)
    assert clickhouse_level(clickhouse) == (46, False)
    assert lost(before, content(seeded)) == {}
    assert repair.repair_migration(seeded.context, yes=True, dry_run=False) == EXIT_OK, (
        "there is nothing to repair"
    )


def test_a_migration_of_postgresql_that_failed_is_run_once_more(seeded: Stack) -> None:
    """As after a web that was killed within it: Prisma applies none while one is noted as failed (P3009)."""
    before = content(seeded)
    postgres = Postgres(services_of(seeded))
    postgres.query(INTERRUPTED_MIGRATION)
    services_of(seeded).stop("langfuse-web")
    with pytest.raises(StackError) as caught:
        seeded.up()
    assert any("P3009" in line for line in caught.value.details)
    assert "make repair-migration" in caught.value.fix
    assert repair.repair_migration(seeded.context, yes=True, dry_run=True) == EXIT_OK
    assert levels(seeded).unfinished
    assert upgrade(seeded, NEW, check=True) == EXIT_FAILED
    assert repair.repair_migration(seeded.context, yes=True, dry_run=False) == EXIT_OK
    wait_healthy(seeded)
    assert levels(seeded).unfinished == ()
    assert postgres.query("SELECT to_regclass('pending_deletions_by_object') IS NOT NULL;") == "t"
    assert lost(before, content(seeded)) == {}


def test_a_migration_that_fails_again_leaves_clickhouse_as_it_was(seeded: Stack) -> None:
    repair_in_vain(seeded)
