"""From one version to another and back: what was there before and what came in meanwhile is all there."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from scripts.core.errors import EXIT_FAILED, EXIT_OK, StackError, UsageError
from scripts.core.settings.envfile import read_env
from scripts.rotate.env_lines import write_values
from scripts.stores.clickhouse import ClickHouse
from scripts.stores.postgres import Postgres
from scripts.stores.services import Services
from scripts.upgrade import journal, repair, verb
from scripts.upgrade.compose import ComposeHands
from scripts.upgrade.execute import RolledBack
from scripts.upgrade.journal import Entry
from scripts.upgrade.levels import clickhouse_level
from scripts.upgrade.rules import Levels
from scripts.upgrade.steps import Step
from tests.embedded.backups import everything
from tests.scenarios.backup_restore.drill import PROJECTS, client, poll, seed, with_repository
from tests.scenarios.conftest import MakeStack
from tests.scenarios.load import load_on, wait_healthy
from tests.scenarios.report import Report
from tests.scenarios.stack import Stack, wait_readable

OLD, NEW, FAILING = "4.59.0", "4.60.0", "4.61.0"


class Killed(BaseException):
    """Ends the verb where it is."""


@pytest.fixture(scope="module")
def seeded(make_stack: MakeStack, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """Return a running stack of the old version with something of everything in it. Tests leave it so."""
    stack = with_repository(make_stack(), tmp_path_factory.mktemp("backups") / "repository")
    stack.up()
    seed(stack, 100)
    return stack


def upgrade(stack: Stack, to: str = "", *, check: bool = False, smoke: bool = False, allow: str = "") -> int:
    return verb.run(
        stack.context, to=to, check=check, yes=True, with_smoke=smoke, allow=[allow] if allow else []
    )


def roll_back(stack: Stack) -> int:
    return verb.roll_back(stack.context, yes=True, check=False)


def content(stack: Stack) -> dict[str, set[str]]:
    """Return all that can be read in each project, a text each thing."""
    found = {}
    for project in PROJECTS:
        with client(stack, project) as api:
            listed = everything(api)
        rows = [row for part in listed.values() for row in (part if isinstance(part, list) else part["data"])]
        found[project] = {json.dumps(row, sort_keys=True) for row in rows}
    return found


def lost(before: dict[str, set[str]], after: dict[str, set[str]]) -> dict[str, set[str]]:
    return {project: rows - after[project] for project, rows in before.items() if rows - after[project]}


def services_of(stack: Stack) -> Services:
    context = stack.context
    return Services(context.layout, context.settings(), context.environment, context.runner)


def levels(stack: Stack) -> Levels:
    return ComposeHands(stack.context).levels()


def versions(stack: Stack) -> set[str]:
    """Return all that says which version this is: .env, both images, the server."""
    images = services_of(stack).images()
    tags = {
        images[name].rpartition("@")[0].rpartition(":")[2] for name in ("langfuse-web", "langfuse-worker")
    }
    return {read_env(stack.context.layout.env_file).values().get("LANGFUSE_VERSION", OLD), *tags}


def post_score(stack: Stack, name: str) -> None:
    with client(stack, "kosmos") as api:
        body = {"traceId": "0" * 31 + "1", "name": name, "value": 1.0, "id": name}
        api.post("/api/public/scores", json=body).raise_for_status()


def has_score(stack: Stack, name: str) -> bool:
    with client(stack, "kosmos") as api:
        found = api.get("/api/public/v3/scores", params={"id": name}).raise_for_status().json()["data"]
        return bool(found)


def breaking(
    monkeypatch: pytest.MonkeyPatch, at: Step, what: BaseException, before: Callable[[], None] = lambda: None
) -> None:
    """Have a step end with an exception after it has had its effect."""
    real = ComposeHands.do

    def do(self: ComposeHands, step: Step, entry: Entry) -> Entry:
        if step is not at:
            return real(self, step, entry)
        before()
        real(self, step, entry)
        raise what

    monkeypatch.setattr(ComposeHands, "do", do)


def test_a_check_changes_nothing_and_says_what_stands_in_the_way(seeded: Stack) -> None:
    was = levels(seeded)
    assert upgrade(seeded, OLD, check=True) == EXIT_OK
    assert upgrade(seeded, NEW, check=True) == EXIT_OK
    assert upgrade(seeded, "4.58.0", check=True) == EXIT_FAILED
    with pytest.raises(UsageError, match="Refused for 1 reason") as caught:
        upgrade(seeded, "4.58.0")
    assert "downgrade" in caught.value.details[0]
    assert upgrade(seeded, "4.98.7", check=True) == EXIT_FAILED, "there is no such image"
    postgres = Postgres(services_of(seeded))
    postgres.query(
        "INSERT INTO background_migrations (id, name, script, args) VALUES ('t', 'test-backfill', 's', '{}');"
    )
    try:
        assert upgrade(seeded, NEW, check=True) == EXIT_FAILED
        assert upgrade(seeded, NEW, check=True, allow="background") == 3
    finally:
        postgres.query("DELETE FROM background_migrations WHERE id = 't';")
    assert journal.read(seeded.context.layout) is None
    assert versions(seeded) == {OLD}
    assert levels(seeded) == was


def test_a_migration_that_fails_ends_in_the_old_version_with_nothing_lost(
    seeded: Stack, monkeypatch: pytest.MonkeyPatch, report: Report
) -> None:
    before, was = content(seeded), levels(seeded)
    real = ComposeHands.do

    def do(self: ComposeHands, step: Step, entry: Entry) -> Entry:
        if step is Step.VERSION:  # after the backup, before the new version
            post_score(seeded, "after-the-backup")
        return real(self, step, entry)

    monkeypatch.setattr(ComposeHands, "do", do)
    with load_on(seeded) as load:
        with pytest.raises(RolledBack, match=f"{OLD} is back, with its data") as caught:
            upgrade(seeded, FAILING)
        assert any("48" in line for line in caught.value.details), "the log of web names the migration"
    wait_healthy(seeded)
    assert versions(seeded) == {OLD}
    assert levels(seeded) == was
    assert lost(before, content(seeded)) == {}
    with client(seeded, "kosmos") as api:
        missing = wait_readable(api, load.trace_id, load.acknowledged)
    report.add("upgrade", "migration fails", acknowledged=len(load.acknowledged), lost=len(missing))
    assert missing == set()
    assert has_score(seeded, "after-the-backup")
    assert journal.read(seeded.context.layout) is None


@pytest.mark.parametrize("step", [Step.PULL, Step.BACKUP, Step.VERSION])
def test_a_failure_before_the_new_version_starts_needs_no_restore(
    seeded: Stack, monkeypatch: pytest.MonkeyPatch, step: Step
) -> None:
    before = content(seeded)
    with monkeypatch.context() as patched:
        breaking(patched, step, StackError("on purpose."))
        with pytest.raises(RolledBack, match="on purpose"):
            upgrade(seeded, NEW)
    wait_healthy(seeded)
    assert versions(seeded) == {OLD}
    assert content(seeded) == before


@pytest.mark.parametrize("step", [Step.WEB, Step.SMOKE])
def test_a_failure_afterwards_brings_the_data_back_and_replays_what_came_in(
    seeded: Stack, monkeypatch: pytest.MonkeyPatch, step: Step
) -> None:
    before, was = content(seeded), levels(seeded)
    name = f"before-{step.name.lower()}"
    with monkeypatch.context() as patched:
        breaking(patched, step, StackError("on purpose."), before=lambda: post_score(seeded, name))
        with pytest.raises(RolledBack, match="on purpose"):
            upgrade(seeded, NEW)
    wait_healthy(seeded)
    assert versions(seeded) == {OLD}
    assert levels(seeded) == was
    assert lost(before, content(seeded)) == {}
    assert has_score(seeded, name)


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
    assert upgrade(seeded, smoke=True) == EXIT_OK
    assert versions(seeded) == {NEW}
    found = levels(seeded)
    assert (found.clickhouse, found.background) == (47, ())
    assert found.postgres >= 3
    assert lost(before, content(seeded)) == {}

    post_score(seeded, "by-the-new-version")
    poll(lambda: has_score(seeded, "by-the-new-version"), "the score")
    assert roll_back(seeded) == EXIT_OK
    wait_healthy(seeded)
    assert versions(seeded) == {OLD}
    assert levels(seeded) == was
    assert lost(before, content(seeded)) == {}
    assert has_score(seeded, "by-the-new-version")
    with pytest.raises(UsageError, match="No upgrade is known"):
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
    assert repair.run(seeded.context, yes=True, dry_run=True) == EXIT_OK
    assert clickhouse_level(clickhouse) == (46, True)
    assert repair.run(seeded.context, yes=True, dry_run=False) == EXIT_OK
    wait_healthy(seeded)
    assert clickhouse_level(clickhouse) == (46, False)
    assert lost(before, content(seeded)) == {}
    assert repair.run(seeded.context, yes=True, dry_run=False) == EXIT_OK, "there is nothing to repair"


def test_a_migration_that_fails_again_leaves_clickhouse_as_it_was(seeded: Stack) -> None:
    before = content(seeded)
    env_file = seeded.context.layout.env_file
    clickhouse = ClickHouse(services_of(seeded))
    clickhouse.back_up("before-test")
    write_values(env_file, {"LANGFUSE_VERSION": FAILING})
    try:
        with pytest.raises(StackError):
            seeded.up()
        assert clickhouse_level(clickhouse) == (48, True)
        with pytest.raises(StackError, match="Migration 48 fails again"):
            repair.run(seeded.context, yes=True, dry_run=False)
        assert clickhouse_level(clickhouse) == (48, True)
    finally:
        services_of(seeded).stop("langfuse-web", "langfuse-worker")
        clickhouse.restore("before-test")
        write_values(env_file, {"LANGFUSE_VERSION": OLD})
        seeded.up()
    assert lost(before, content(seeded)) == {}
