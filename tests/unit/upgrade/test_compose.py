"""Steps of the compose engine: the commands they run, what they write, when they restore."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from scripts.core.console import Console
from scripts.core.errors import EXIT_FAILED, EXIT_OK, EXIT_WARNINGS, StackError, UsageError
from scripts.core.runner import Completed
from scripts.data.backup import restoring
from scripts.data.backup.manifest import Sample
from scripts.data.backup.proof import has_grown
from scripts.data.reconcile.findings import Findings
from scripts.data.upgrade import command, compose, repair
from scripts.data.upgrade.compose import ComposeHands, levels_of
from scripts.data.upgrade.facts import running_version, target_version
from scripts.data.upgrade.journal import journal_of
from scripts.data.upgrade.levels import read_levels
from scripts.data.upgrade.rules import Facts, Levels
from scripts.data.upgrade.steps import Step, Undo
from scripts.engines.base import EngineState
from scripts.engines.compose import ComposeEngine
from scripts.engines.context import Context
from scripts.settings.envfile import plan_env_change, read_env, write_env_change
from scripts.settings.table import GROUPS
from tests.unit.scripts.fakes import FakeRunner, Screen, layout_in
from tests.unit.scripts.test_stack_file import GOOD
from tests.unit.upgrade.world import FIRST, NEW, OLD

BEFORE = Levels(postgres=2, clickhouse=46)
ENTRY = replace(
    FIRST,
    snapshot="0123456789",
    began="2026-11-21T08:00:00.000+00:00",
    levels={
        "postgres": 2,
        "clickhouse": 46,
        "dirty": False,
        "unfinished": [],
        "background": [],
        "background_failed": [],
    },
)


@pytest.fixture
def runner() -> FakeRunner:
    return FakeRunner()


@pytest.fixture
def context(tmp_path: Path, runner: FakeRunner) -> Context:
    """A stack with .env that was never started."""
    layout = layout_in(tmp_path)
    (tmp_path / "config").mkdir()
    layout.stack_file.write_text(GOOD)
    environment = {"PATH": "/bin", "ENGINE": "compose"}
    change = plan_env_change(GROUPS, None, environment, lambda: datetime.now(UTC))
    write_env_change(layout.env_file, change)
    screen = Screen()
    return Context(layout, environment, Console({"CI": "1"}, screen.out, screen.err), runner)


def version_in_env(context: Context) -> str:
    return read_env(context.layout.env_file).values().get("LANGFUSE_VERSION", "")


def has_levels(monkeypatch: pytest.MonkeyPatch, levels: Levels | StackError) -> None:
    """Have the databases say this."""

    def answer(_: ComposeHands) -> Levels:
        if isinstance(levels, StackError):
            raise levels
        return levels

    monkeypatch.setattr(ComposeHands, "levels", answer)


def test_the_version_is_written_to_env_and_back(context: Context) -> None:
    hands = ComposeHands(context)
    hands.do(Step.VERSION, ENTRY)
    assert version_in_env(context) == NEW
    assert context.settings()["LANGFUSE_VERSION"] == NEW
    hands.undo(Undo.VERSION, ENTRY)
    assert version_in_env(context) == OLD


def test_web_starts_alone_in_the_new_version_after_the_worker_has_stopped(
    context: Context, runner: FakeRunner
) -> None:
    hands = ComposeHands(context)
    hands.do(Step.VERSION, ENTRY)
    hands.do(Step.WEB, ENTRY)
    lines = runner.lines()
    stop = next(number for number, line in enumerate(lines) if line.endswith(" stop langfuse-worker"))
    start = next(number for number, line in enumerate(lines) if " up --detach --wait " in line)
    assert stop < start
    assert runner.calls[start][-1] == "langfuse-web"
    environment = runner.environments[start]
    assert environment is not None
    assert environment["LANGFUSE_VERSION"] == NEW
    assert environment["LANGFUSE_INIT_PROJECT_ID"] == "kosmos", "the same as `make up` gives: no second start"


def test_everything_starts_after_that(context: Context, runner: FakeRunner) -> None:
    ComposeHands(context).do(Step.WORKER, ENTRY)
    (line,) = [call for call in runner.calls if "--detach" in call]
    assert line[-2:] == ["--wait-timeout", "1800"], "all services"


def test_the_images_of_the_new_version_are_pulled_while_the_old_one_is_set(
    context: Context, runner: FakeRunner
) -> None:
    ComposeHands(context).do(Step.VERSION, replace(ENTRY, new=OLD))
    runner.rules["docker version"] = Completed(0, "27.0.0")
    ComposeHands(context).do(Step.PULL, ENTRY)
    number = next(number for number, call in enumerate(runner.calls) if "pull" in call)
    environment = runner.environments[number]
    assert environment is not None
    assert environment["LANGFUSE_VERSION"] == NEW
    assert version_in_env(context) == OLD


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        (Levels(3, 47, dirty=True), "not complete"),
        (Levels(3, 47, unfinished=("2026_x",)), "not complete"),
        (Levels(1, 47), "behind"),
        (Levels(3, 45), "behind"),
    ],
)
def test_migrations_that_are_not_complete_fail_the_step(
    context: Context, monkeypatch: pytest.MonkeyPatch, levels: Levels, message: str
) -> None:
    has_levels(monkeypatch, levels)
    with pytest.raises(StackError, match=message):
        ComposeHands(context).do(Step.MIGRATIONS, ENTRY)
    has_levels(monkeypatch, Levels(3, 47, background=("backfill",)))
    ComposeHands(context).do(Step.MIGRATIONS, ENTRY)


@pytest.mark.parametrize(
    ("levels", "restores"),
    [
        (BEFORE, False),
        (replace(BEFORE, background=("backfill",)), False),
        (replace(BEFORE, clickhouse=47), True),
        (replace(BEFORE, postgres=3), True),
        (replace(BEFORE, dirty=True), True),
        (replace(BEFORE, unfinished=("2026_x",)), True),
        (StackError("ClickHouse is away."), True),
    ],
)
def test_data_comes_back_from_the_backup_where_a_migration_has_changed_it(
    context: Context, monkeypatch: pytest.MonkeyPatch, levels: Levels | StackError, restores: bool
) -> None:
    has_levels(monkeypatch, levels)
    monkeypatch.setattr(compose, "start_stores", lambda _: None)
    plans: list[str] = []

    def make_plan(_: Context, __: object, backup: str) -> None:
        plans.append(backup)
        raise StackError("far enough.")

    monkeypatch.setattr(restoring, "make_plan", make_plan)
    if restores:
        with pytest.raises(StackError, match="far enough"):
            ComposeHands(context).undo(Undo.DATA, ENTRY)
    else:
        ComposeHands(context).undo(Undo.DATA, ENTRY)
    assert plans == (["0123456789"] if restores else [])


def test_a_replay_goes_from_before_the_backup_to_the_start_of_web(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments: list[datetime] = []

    def replayed(_: Context, __: object, since: datetime, until: datetime, **___: object) -> list[Findings]:
        moments.extend((since, until))
        return [Findings("kosmos", replayed=2, replayed_scores=1), Findings("zeus", replayed=1)]

    monkeypatch.setattr(compose, "look_at_compose", replayed)
    monkeypatch.setattr(ComposeEngine, "state", lambda _: EngineState(running=True, uptime_s=3600.0))
    ComposeHands(context).undo(Undo.REPLAY, ENTRY)
    since, until = moments
    assert since == datetime(2026, 11, 21, 7, tzinfo=UTC)
    assert timedelta(minutes=59) < datetime.now(UTC) - until < timedelta(minutes=61)


@pytest.mark.parametrize(("code", "fails"), [(0, False), (1, True)])
def test_smoke_tests_that_fail_fail_the_step(
    context: Context, monkeypatch: pytest.MonkeyPatch, code: int, fails: bool
) -> None:
    monkeypatch.setattr("scripts.data.upgrade.compose.run_smoke_tests", lambda *_, **__: code)
    assert ComposeHands(context, with_smoke=False).do(Step.SMOKE, ENTRY) == ENTRY
    if fails:
        with pytest.raises(StackError, match="smoke tests failed"):
            ComposeHands(context).do(Step.SMOKE, ENTRY)
    else:
        ComposeHands(context).do(Step.SMOKE, ENTRY)


def test_levels_survive_the_journal(context: Context) -> None:
    journal_of(context.layout).save(ENTRY)
    found = journal_of(context.layout).read()
    assert found is not None
    assert levels_of(found) == BEFORE
    with pytest.raises(StackError, match="no earlier migration levels"):
        levels_of(FIRST)


GATE = "LANGFUSE_BACKGROUND_MIGRATION_V4_ENABLE_HISTORIC_BACKFILL"
BACKGROUND = [
    json.dumps({"name": "backfill", "failed": False, "reason": None, "claimed": False, "gate": None}),
    json.dumps({"name": "dormant", "failed": False, "reason": None, "claimed": False, "gate": GATE}),
    json.dumps({"name": "other", "failed": True, "reason": "no room", "claimed": True, "gate": None}),
]


class FakePostgres:
    """Answers the two questions about migrations."""

    def has_table(self, _: str) -> bool:
        return True

    def migrations(self) -> int:
        return 433

    def query(self, statement: str) -> str:
        return "\n".join(BACKGROUND) if "background" in statement else '"2026_x"'


class FakeClickHouse:
    """Has a last row of migrations."""

    def tables(self) -> dict[str, str]:
        return {"schema_migrations": "MergeTree"}

    def rows(self, statement: str) -> list[dict[str, str]]:
        assert "ORDER BY sequence DESC LIMIT 1" in statement
        return [{"version": "47", "dirty": "1"}]


def test_levels_are_read_from_both_databases() -> None:
    postgres: Any = FakePostgres()
    clickhouse: Any = FakeClickHouse()
    assert read_levels(postgres, clickhouse) == Levels(
        433, 47, dirty=True, unfinished=("2026_x",), background=("backfill",), background_failed=("other",)
    )


def test_a_dormant_migration_counts_only_where_the_worker_is_told_to_run_it() -> None:
    """Langfuse ships such rows: they never finish, and no upgrade has to wait for them."""
    postgres: Any = FakePostgres()
    clickhouse: Any = FakeClickHouse()
    assert read_levels(postgres, clickhouse, {GATE: "false"}).background == ("backfill",)
    assert read_levels(postgres, clickhouse, {GATE: "true"}).background == ("backfill", "dormant")


@pytest.mark.parametrize(
    "image",
    [
        "docker.io/langfuse/langfuse:4.59.0@sha256:ab",
        "langfuse-stack-rehearsal/web:4.59.0@sha256:ab",
        "registry.acme.example:5000/langfuse:4.59.0@sha256:cd@sha256:ab",
    ],
)
def test_the_version_that_runs_is_the_tag_of_web(image: str) -> None:
    assert running_version({"langfuse-web": image}, "http://127.0.0.1:9") == "4.59.0"


def test_the_version_of_the_repository_is_where_one_goes_without_saying() -> None:
    assert target_version("4.61.0") == "4.61.0"
    assert target_version("").startswith("4.")


def test_a_trace_that_has_grown_is_as_good() -> None:
    sample = Sample("trace", "kosmos", "ab", {"observations": 5, "sha256": "x"})
    assert has_grown(sample, {"observations": 6, "sha256": "y"})
    assert not has_grown(sample, {"observations": 5, "sha256": "y"})
    assert not has_grown(sample, {"observations": 4, "sha256": "y"})
    assert not has_grown(replace(sample, kind="score"), {"observations": 6})


@pytest.fixture
def facts(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what decides about what is seen of the stack."""

    def seen(**change: Any) -> None:
        good = Facts(old=OLD, new=NEW, levels=BEFORE, free_bytes=2**40)
        monkeypatch.setattr(command, "gather_facts", lambda _, new: replace(good, new=new, **change))

    return seen


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({}, EXIT_OK),
        ({"locked": True}, EXIT_WARNINGS),
        ({"levels": replace(BEFORE, dirty=True)}, EXIT_FAILED),
        ({"old": NEW}, EXIT_OK),
    ],
)
def test_a_check_answers_with_its_exit_code_and_changes_nothing(
    context: Context, facts: Callable[..., None], change: dict[str, Any], code: int
) -> None:
    facts(**change)
    assert command.upgrade(context, to=NEW, check=True, yes=False) == code
    assert journal_of(context.layout).read() is None


def test_nothing_is_done_without_a_yes(context: Context, facts: Callable[..., None]) -> None:
    facts()
    with pytest.raises(UsageError, match="not confirmed"):
        command.upgrade(context, to=NEW, check=False, yes=False)
    assert journal_of(context.layout).read() is None


@pytest.mark.parametrize(
    ("to", "environment", "message"),
    [
        ("4", {}, "TO=4 is not an exact version"),
        ("latest", {}, "TO=latest is not an exact version"),
        (NEW, {"LANGFUSE_VERSION": OLD}, "set in the environment"),
    ],
)
def test_a_wrong_call_is_refused(
    context: Context, to: str, environment: dict[str, str], message: str
) -> None:
    used = replace(context, environment={**context.environment, **environment})
    with pytest.raises(UsageError, match=message):
        command.upgrade(used, to=to, check=True, yes=True)


def test_an_interrupted_upgrade_comes_first(context: Context) -> None:
    journal_of(context.layout).save(ENTRY)
    with pytest.raises(UsageError, match=f"An upgrade to {NEW} was interrupted"):
        command.upgrade(context, to="4.61.0", check=True, yes=True)
    assert command.upgrade(context, to=NEW, check=True, yes=True) == EXIT_OK
    journal_of(context.layout).save(replace(ENTRY, going_back=True))
    with pytest.raises(UsageError, match="was interrupted") as caught:
        command.upgrade(context, to=NEW, check=False, yes=True)
    assert caught.value.fix == "make rollback"


def test_a_rollback_says_what_it_costs_before_it_asks(context: Context) -> None:
    journal_of(context.layout).save(replace(ENTRY, step=Step.SMOKE, done=True))
    rows = dict(command.rollback_rows(context, replace(ENTRY, step=Step.SMOKE, done=True)))
    assert rows["Back to"] == OLD
    assert "prompts, datasets, users, comments since then are lost" in rows["Since then"]
    with pytest.raises(UsageError, match="not confirmed"):
        command.rollback(context, yes=False, check=False)
    assert command.rollback(context, yes=False, check=True) == EXIT_OK
    assert journal_of(context.layout).read() is not None


def test_a_migration_is_forced_by_a_row_and_no_process_gets_the_password(
    context: Context, runner: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repair, "clickhouse_level", lambda _: (46, False))
    settings = context.settings()
    repair.Repair(context, settings).force(46)
    (call,) = [call for call in runner.calls if "exec" in call]
    assert call[-2:] == ["clickhouse", "clickhouse-client"]
    assert all(settings["CLICKHOUSE_PASSWORD"] not in word for word in call)
    monkeypatch.setattr(repair, "clickhouse_level", lambda _: (47, True))
    with pytest.raises(StackError, match="46 was forced, and ClickHouse says 47"):
        repair.Repair(context, settings).force(46)
