"""The ways out of a migration that failed and of a damaged file of the queues: what is run, and when."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from scripts.core.console import Console
from scripts.core.errors import EXIT_OK, CommandFailed, StackError, UsageError
from scripts.data.upgrade import repair, repair_queues
from scripts.data.upgrade.repair_queues import Queues
from scripts.engines.context import Context
from scripts.settings.envfile import plan_env_change, write_env_change
from scripts.settings.table import GROUPS
from tests.unit.scripts.fakes import FakeRunner, Screen, layout_in

FAILED = {"20261001_zeus": "ERROR: no space left"}


@dataclass
class FakeStack:
    """A stack in memory: what failed in it, and what was done to it."""

    failed: dict[str, str]
    dirty: bool = False
    heals: bool = True
    done: list[str] = field(default_factory=list)


class FakePostgres:
    def __init__(self, stack: FakeStack) -> None:
        self._stack = stack

    def has_table(self, _name: str) -> bool:
        return True

    def query(self, statement: str) -> str:
        if "_prisma_migrations" in statement:
            return "\n".join(
                json.dumps({"name": name, "said": said}) for name, said in self._stack.failed.items()
            )
        if "indisvalid" in statement:
            return '"projects_by_name"'
        self._stack.done.append(statement)
        return ""


class FakeServices:
    def __init__(self, stack: FakeStack) -> None:
        self._stack = stack

    def stop(self, *services: str) -> None:
        self._stack.done.append(f"stop {' '.join(services)}")


class FakeEngine:
    def __init__(self, stack: FakeStack) -> None:
        self._stack = stack

    def start_only(self, _init: object, service: str) -> None:
        self._stack.done.append(f"start only {service}")
        if not self._stack.heals:
            self._stack.failed = dict(FAILED)
            raise StackError("The containers did not start.")

    def start(self, _init: object) -> None:
        self._stack.done.append("start")


@pytest.fixture
def screen() -> Screen:
    return Screen()


@pytest.fixture
def context(tmp_path: Path, screen: Screen) -> Context:
    """A stack with .env that was never started."""
    layout = layout_in(tmp_path)
    environment = {"PATH": "/bin", "ENGINE": "compose"}
    change = plan_env_change(GROUPS, None, environment, lambda: datetime.now(UTC))
    write_env_change(layout.env_file, change)
    return Context(layout, environment, Console({"CI": "1"}, screen.out, screen.err), FakeRunner())


@pytest.fixture
def stack() -> FakeStack:
    return FakeStack(dict(FAILED))


@pytest.fixture
def broken(stack: FakeStack, monkeypatch: pytest.MonkeyPatch, context: Context) -> Context:
    """A stack whose web does not start, with a migration of PostgreSQL that failed."""

    def in_web(_self: object, script: str, *arguments: str) -> None:
        stack.done.append(f"{script.split()[-4]} {' '.join(arguments)}")
        for name in arguments:
            stack.failed.pop(name, None)

    monkeypatch.setattr(repair, "start_stores", lambda _: stack.done.append("start stores"))
    monkeypatch.setattr(repair, "reach", lambda _: None)  # no store is external
    monkeypatch.setattr(repair.Repair, "_postgres", property(lambda _: FakePostgres(stack)))
    monkeypatch.setattr(repair.Repair, "services", property(lambda _: FakeServices(stack)))
    monkeypatch.setattr(repair.Repair, "_engine", lambda _: FakeEngine(stack))
    monkeypatch.setattr(repair.Repair, "_run_in_web", in_web)
    monkeypatch.setattr(repair.Repair, "level", lambda _: (47, stack.dirty))
    monkeypatch.setattr(repair.Repair, "run", lambda _self, dirty: stack.done.append(f"clickhouse {dirty}"))
    monkeypatch.setattr(repair.Bootstrap, "load", lambda *_: type("Init", (), {"init_variables": dict}))
    return context


def test_a_failed_migration_of_postgresql_is_noted_as_rolled_back_and_run_once_more(
    broken: Context, stack: FakeStack
) -> None:
    assert repair.repair_migration(broken, yes=True, dry_run=False) == EXIT_OK
    assert stack.done == [
        "start stores",
        "stop langfuse-web langfuse-worker",
        "DROP INDEX IF EXISTS projects_by_name;",
        "resolve 20261001_zeus",
        "start only langfuse-web",
        "start",
    ]


def test_both_databases_are_repaired_before_web_starts(broken: Context, stack: FakeStack) -> None:
    stack.dirty = True
    assert repair.repair_migration(broken, yes=True, dry_run=False) == EXIT_OK
    assert stack.done[-2:] == ["resolve 20261001_zeus", "clickhouse 47"]
    assert "start only langfuse-web" not in stack.done


def test_a_migration_that_fails_again_says_what_postgresql_said(broken: Context, stack: FakeStack) -> None:
    stack.heals = False
    with pytest.raises(StackError, match="20261001_zeus fails again") as caught:
        repair.repair_migration(broken, yes=True, dry_run=False)
    assert "ERROR: no space left" in caught.value.details
    assert "start" not in stack.done


def test_a_dry_run_of_a_repair_changes_nothing(broken: Context, stack: FakeStack) -> None:
    assert repair.repair_migration(broken, yes=True, dry_run=True) == EXIT_OK
    assert stack.done == ["start stores"]
    with pytest.raises(UsageError, match="not confirmed"):
        repair.repair_migration(broken, yes=False, dry_run=False)
    assert stack.done == ["start stores", "start stores"]


def test_nothing_is_done_where_nothing_failed(broken: Context, stack: FakeStack) -> None:
    stack.failed = {}
    assert repair.repair_migration(broken, yes=True, dry_run=False) == EXIT_OK
    assert stack.done == ["start stores"]


def test_prisma_gets_the_url_that_the_entrypoint_gives_it() -> None:
    assert repair._RESOLVE.startswith('export DIRECT_URL="${DIRECT_URL:-$DATABASE_URL}"; ')
    assert repair._RESOLVE.endswith('--schema=./packages/shared/prisma/schema.prisma --rolled-back "$0"')


# Of valkey-check-aof 8.1.1, on a file that ends in zeros.
SAID = """\
AOF analyzed: filename=appendonly.aof.1.base.rdb, size=89, ok_up_to=89, ok_up_to_line=1, diff=0
BASE AOF appendonly.aof.1.base.rdb is valid
Start to check INCR files.
AOF appendonly.aof.1.incr.aof format error
AOF analyzed: filename=appendonly.aof.1.incr.aof, size=5919, ok_up_to=1823, ok_up_to_line=114, diff=4096
AOF appendonly.aof.1.incr.aof is not valid. Use the --fix option to try fixing it.
"""


@dataclass
class FakeValkey:
    """Files with an end that is not good, until they are cut."""

    state: tuple[str, str] = ("exited", "")
    damaged: bool = True
    cuts: bool = True
    said: list[str] = field(default_factory=list)

    def bundled(self) -> list[str]:
        return ["valkey"]

    def states(self) -> dict[str, tuple[str, str]]:
        return {"valkey": self.state}

    def stop(self, *services: str) -> None:
        self.said.append(f"stop {' '.join(services)}")

    def run_inside(self, _service: str, argv: list[str]) -> str:
        fixes = "--fix" in argv[-1]
        self.said.append("fix" if fixes else "check")
        if fixes and self.cuts:
            self.damaged = False
        if self.damaged and not fixes:
            raise CommandFailed(argv, 1, SAID)
        return ""


@pytest.fixture
def valkey(monkeypatch: pytest.MonkeyPatch) -> FakeValkey:
    fake = FakeValkey()
    monkeypatch.setattr(repair_queues, "_services", lambda *_: fake)
    return fake


def test_a_damaged_file_of_the_queues_is_cut_behind_its_last_good_entry(
    context: Context, valkey: FakeValkey, screen: Screen
) -> None:
    assert repair_queues.repair_queues(context, yes=True, dry_run=True) == EXIT_OK
    assert valkey.said == ["check"]
    assert repair_queues.repair_queues(context, yes=True, dry_run=False) == EXIT_OK
    assert valkey.said == ["check", "check", "fix", "check"]
    said = screen.out.getvalue()
    assert "size=5919, ok_up_to=1823" in said
    assert "make reconcile SINCE=2h" in said


def test_a_valkey_that_is_well_is_left_alone_and_one_that_restarts_is_stopped_first(
    context: Context, valkey: FakeValkey
) -> None:
    valkey.state = ("running", "healthy")
    assert repair_queues.repair_queues(context, yes=True, dry_run=False) == EXIT_OK
    assert valkey.said == []
    valkey.state = ("restarting", "")
    assert repair_queues.repair_queues(context, yes=True, dry_run=False) == EXIT_OK
    assert valkey.said[0] == "stop valkey"


def test_a_file_that_cannot_be_cut_is_an_error(context: Context, valkey: FakeValkey) -> None:
    valkey.cuts = False
    with pytest.raises(StackError, match="still not good"):
        repair_queues.repair_queues(context, yes=True, dry_run=False)


def test_a_docker_that_fails_is_not_taken_for_a_damaged_file(valkey: FakeValkey) -> None:
    def fails(_service: str, argv: list[str]) -> str:
        raise CommandFailed(argv, 125, "no such image")

    services: Any = valkey
    services.run_inside = fails
    with pytest.raises(CommandFailed):
        Queues(services).problem()


def test_the_repair_keeps_a_copy_inside_the_volume() -> None:
    assert repair_queues._FIX.startswith(f"rm -rf {repair_queues.KEPT} && cp -a /data/appendonlydir ")
    assert Path(repair_queues.KEPT).parent == Path("/data")
