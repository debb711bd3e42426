"""Upgrades of a stack on four external stores: forth and back, a migration that fails, and repairs."""

from __future__ import annotations

import docker
import pytest

from scripts.core.errors import EXIT_OK, StackError
from scripts.data.upgrade import repair
from scripts.data.upgrade.steps import Step
from tests.scenarios.conftest import MakeStack
from tests.scenarios.external_backup.company import OTHERS, Company, company_of
from tests.scenarios.load import wait_healthy
from tests.scenarios.report import Report
from tests.scenarios.stack import Stack
from tests.scenarios.upgrade.drill import (
    INTERRUPTED_MIGRATION,
    NEW,
    OLD,
    Killed,
    breaking,
    content,
    fail_under_load,
    has_score,
    levels,
    lost,
    post_score,
    repair_in_vain,
    roll_back,
    services_of,
    started,
    upgrade,
    versions,
)
from tests.waiting import wait_for

APPLICATIONS = {"langfuse-web", "langfuse-worker"}


@pytest.fixture(scope="module")
def company(make_stack: MakeStack, engine: docker.DockerClient) -> Company:
    """The stores of a company, which has data of others in them, too."""
    return company_of(make_stack(), engine)


@pytest.fixture(scope="module")
def seeded(company: Company, make_stack: MakeStack, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """A running stack of the old version on these stores, with something of everything. Tests leave it so."""
    return started(company.tenant(make_stack()), tmp_path_factory.mktemp("backups"))


@pytest.fixture(autouse=True)
def nothing_else_changes(company: Company, seeded: Stack) -> None:
    """See that a test begins with the stores as a company has them: its own, and nothing beside."""
    require_untouched(company, seeded)


def require_untouched(company: Company, stack: Stack) -> None:
    """See that what others have in the stores is there, and that nothing of a command is left."""
    assert company.others() == [OTHERS] * 4
    assert company.beside() == []
    left = stack.leftovers()
    assert {name.removeprefix(f"{stack.name}-")[:-2] for name in left["containers"]} == APPLICATIONS
    assert "volumes" not in left


def test_a_killed_upgrade_goes_on_and_a_finished_one_is_rolled_back_by_address(
    company: Company, seeded: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, was = content(seeded), levels(seeded)
    assert upgrade(seeded, NEW, check=True) == EXIT_OK
    require_untouched(company, seeded)
    with monkeypatch.context() as patched:
        breaking(patched, Step.WEB, Killed())
        with pytest.raises(Killed):
            upgrade(seeded, NEW)
    assert upgrade(seeded) == EXIT_OK
    assert versions(seeded) == {NEW}
    found = levels(seeded)
    assert (found.clickhouse, found.background) == (47, ())
    assert found.postgres == was.postgres + 1
    assert lost(before, content(seeded)) == {}
    require_untouched(company, seeded)

    post_score(seeded, "by-the-new-version")
    wait_for(lambda: has_score(seeded, "by-the-new-version"), "the score")
    assert roll_back(seeded) == EXIT_OK
    wait_healthy(seeded)
    assert versions(seeded) == {OLD}
    assert levels(seeded) == was
    assert lost(before, content(seeded)) == {}
    assert has_score(seeded, "by-the-new-version")
    require_untouched(company, seeded)


def test_a_migration_that_fails_under_load_ends_in_the_old_version_with_nothing_lost(
    company: Company, seeded: Stack, report: Report
) -> None:
    fail_under_load(seeded, report, "external_upgrade")
    require_untouched(company, seeded)


def test_a_dirty_migration_of_clickhouse_is_repaired(company: Company, seeded: Stack) -> None:
    before = content(seeded)
    company.clickhouse("INSERT INTO schema_migrations SELECT 46, 1, toUInt64(now64(9)) * 1000000000")
    assert levels(seeded).dirty
    assert repair.repair_migration(seeded.context, yes=True, dry_run=True) == EXIT_OK
    assert levels(seeded).dirty
    assert repair.repair_migration(seeded.context, yes=True, dry_run=False) == EXIT_OK
    wait_healthy(seeded)
    found = levels(seeded)
    assert (found.clickhouse, found.dirty) == (46, False)
    assert lost(before, content(seeded)) == {}
    require_untouched(company, seeded)


def test_a_migration_of_postgresql_that_failed_is_run_once_more(company: Company, seeded: Stack) -> None:
    before = content(seeded)
    company.postgres(INTERRUPTED_MIGRATION)
    services_of(seeded).stop("langfuse-web")
    with pytest.raises(StackError) as caught:
        seeded.up()
    assert any("P3009" in line for line in caught.value.details)
    assert repair.repair_migration(seeded.context, yes=True, dry_run=False) == EXIT_OK
    wait_healthy(seeded)
    assert levels(seeded).unfinished == ()
    assert company.postgres("SELECT to_regclass('pending_deletions_by_object') IS NOT NULL;") == "t"
    assert lost(before, content(seeded)) == {}
    require_untouched(company, seeded)


def test_a_migration_that_fails_again_leaves_clickhouse_as_it_was(company: Company, seeded: Stack) -> None:
    repair_in_vain(seeded)
    require_untouched(company, seeded)
