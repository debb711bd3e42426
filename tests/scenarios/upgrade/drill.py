"""What the drills of upgrades share: commands as functions, what can be read, steps that fail on purpose."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.core.errors import StackError
from scripts.data.upgrade import command, repair
from scripts.data.upgrade.compose import ComposeHands
from scripts.data.upgrade.execute import RolledBack
from scripts.data.upgrade.journal import Entry, journal_of
from scripts.data.upgrade.rules import Levels
from scripts.data.upgrade.steps import Step
from scripts.docker.compose import Compose
from scripts.engines.base import EngineName
from scripts.engines.external_stores import within_reach
from scripts.settings.envfile import read_env, write_values
from scripts.stores.opening import clickhouse_of
from tests.embedded.backups import everything
from tests.scenarios.backup_restore.drill import PROJECTS, client, comparable, seed, with_repository
from tests.scenarios.load import load_on, wait_healthy
from tests.scenarios.report import Report
from tests.scenarios.stack import Stack, wait_readable

OLD, NEW, FAILING = "4.59.0", "4.60.0", "4.61.0"


INTERRUPTED_MIGRATION = (
    "DROP INDEX pending_deletions_by_object; UPDATE _prisma_migrations SET finished_at = NULL,"
    " applied_steps_count = 0, logs = 'no space left' WHERE migration_name LIKE '%4_59';"
)
"""What a web leaves in PostgreSQL that was killed within a migration."""


class Killed(BaseException):
    """Ends the command where it is."""


def started(stack: Stack, directory: Path) -> Stack:
    """Return the stack, running, with something of everything in it and its backups in a directory."""
    stack = with_repository(stack, directory / "repository")
    stack.up()
    seed(stack, 100)
    return stack


def fail_under_load(stack: Stack, report: Report, scenario: str) -> None:
    """Upgrade to a version whose migration fails: the old one is back, with all that came in meanwhile."""
    before, was = content(stack), levels(stack)
    # The worker of the rehearsal writes a few batches a second, and a replay stands in line behind the rest.
    with load_on(stack, before=20, after=20, pause_s=0.5) as load:
        with pytest.raises(RolledBack, match=f"{OLD} is back, with its data") as caught:
            upgrade(stack, FAILING)
        assert any("48" in line for line in caught.value.details), "the log of web names the migration"
    wait_healthy(stack)
    assert versions(stack) == {OLD}
    assert levels(stack) == was
    assert lost(before, content(stack)) == {}
    with client(stack, "kosmos") as api:
        missing = wait_readable(api, load.trace_id, load.acknowledged)
    report.add(scenario, "migration fails", acknowledged=len(load.acknowledged), lost=len(missing))
    assert missing == set()
    assert journal_of(stack.context.layout).read() is None


def repair_in_vain(stack: Stack) -> None:
    """Repair a migration of ClickHouse that fails again: the stores stay as the migration has left them."""
    before, context = content(stack), stack.context
    services, clickhouse = services_of(stack), clickhouse_of(services_of(stack))
    with within_reach(context, context.settings(), EngineName.COMPOSE):
        clickhouse.back_up("backup-test")
    write_values(context.layout.env_file, {"LANGFUSE_VERSION": FAILING})
    try:
        with pytest.raises(StackError):
            stack.up()
        assert levels(stack).state[1:3] == (48, True)
        with pytest.raises(StackError, match="Migration 48 fails again"):
            repair.repair_migration(context, yes=True, dry_run=False)
        assert levels(stack).state[1:3] == (48, True)
    finally:
        services.stop("langfuse-web", "langfuse-worker")
        with within_reach(context, context.settings(), EngineName.COMPOSE):
            clickhouse.restore("backup-test")
            clickhouse.remove("backup-test")
        write_values(context.layout.env_file, {"LANGFUSE_VERSION": OLD})
        stack.up()
    assert lost(before, content(stack)) == {}


def upgrade(stack: Stack, to: str = "", *, check: bool = False, smoke: bool = False, allow: str = "") -> int:
    """Run the command without a question; return its exit code."""
    return command.upgrade(
        stack.context, to=to, check=check, yes=True, with_smoke=smoke, allow=[allow] if allow else []
    )


def roll_back(stack: Stack) -> int:
    """Run the command without a question; return its exit code."""
    return command.rollback(stack.context, yes=True, check=False)


def content(stack: Stack) -> dict[str, set[str]]:
    """Return all that can be read in each project, a text each thing, without when it was written."""
    found = {}
    for project in PROJECTS:
        with client(stack, project) as api:
            listed = everything(api)
        rows = [row for part in listed.values() for row in part]
        found[project] = {json.dumps(comparable(row), sort_keys=True) for row in rows}
    return found


def lost(before: dict[str, set[str]], after: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return what is not there any more, by project."""
    return {project: rows - after[project] for project, rows in before.items() if rows - after[project]}


def services_of(stack: Stack) -> Compose:
    """Return what runs compose for a stack."""
    context = stack.context
    return Compose(context.layout, context.settings(), context.environment, context.runner)


def levels(stack: Stack) -> Levels:
    """Return how far both databases are migrated."""
    with within_reach(stack.context, stack.context.settings(), EngineName.COMPOSE):
        return ComposeHands(stack.context).levels()


def versions(stack: Stack) -> set[str]:
    """Return all that says which version this is: .env, both images, the server."""
    images = services_of(stack).images()
    tags = {
        images[name].rpartition("@")[0].rpartition(":")[2] for name in ("langfuse-web", "langfuse-worker")
    }
    return {read_env(stack.context.layout.env_file).values().get("LANGFUSE_VERSION", OLD), *tags}


def post_score(stack: Stack, name: str) -> None:
    """Write a score whose id is its name."""
    with client(stack, "kosmos") as api:
        body = {"traceId": "0" * 31 + "1", "name": name, "value": 1.0, "id": name}
        api.post("/api/public/scores", json=body).raise_for_status()


def has_score(stack: Stack, name: str) -> bool:
    """Return whether it can be read."""
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
