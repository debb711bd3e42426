"""Plans of rotations, and what happens when a step fails or the process dies."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from scripts.config.rotate import command
from scripts.config.rotate.catalog import REFUSED, ROTATABLE
from scripts.config.rotate.journal import journal_of
from scripts.config.rotate.plan import SECRETS, Change, Plan, Step, make_plan
from scripts.config.rotate.stores import Stores
from scripts.core.console import Console
from scripts.core.errors import StackError, UsageError
from scripts.core.runner import Completed
from scripts.engines.base import EngineName
from scripts.engines.context import Context
from scripts.settings.envfile import with_values, write_values
from tests.unit.scripts.fakes import FakeRunner, Screen, layout_in, settings_with

COMPOSE, EMBEDDED = EngineName.COMPOSE, EngineName.EMBEDDED
OLD = "0d" * 24


def plan_for(
    name: str, *, engine: EngineName = COMPOSE, running: bool = True, given: str = "", **values: str
) -> Plan:
    known = {name: OLD, **values}
    return make_plan(name, values=known, environment={}, engine=engine, running=running, given=given)


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("NEXTAUTH_SECRET", [Step.ENV, Step.START, Step.VERIFY]),
        ("ADMIN_API_KEY", [Step.ENV, Step.START, Step.VERIFY]),
        ("POSTGRES_PASSWORD", [Step.STORE, Step.ENV, Step.START, Step.VERIFY]),
        ("CLICKHOUSE_PASSWORD", [Step.ENV, Step.START, Step.VERIFY]),
        ("REDIS_AUTH", [Step.ENV, Step.START, Step.VERIFY]),
        ("S3_SECRET_ACCESS_KEY", [Step.ENV, Step.START, Step.VERIFY]),
        ("LANGFUSE_INIT_USER_PASSWORD", [Step.STORE, Step.ENV, Step.VERIFY]),
        ("BACKUP_PASSWORD", [Step.STORE, Step.ENV, Step.VERIFY]),
    ],
)
def test_the_order_of_each_rotation(name: str, steps: list[Step]) -> None:
    assert list(plan_for(name).steps) == steps


def test_every_generated_secret_can_be_rotated_or_is_refused_with_what_to_do() -> None:
    covered = {name for one in ROTATABLE for name in one.names} | set(REFUSED)
    generated = {name for name in SECRETS if name in covered}
    assert {"NEXTAUTH_SECRET", "SALT", "ENCRYPTION_KEY", "BACKUP_PASSWORD"} <= generated
    for name in SECRETS:
        if name in REFUSED:
            with pytest.raises(UsageError) as caught:
                plan_for(name)
            assert "cannot be rotated" in caught.value.message
            assert "docs/how-to/rotate.md" in caught.value.fix
        else:
            given = {"DATABASE_URL": "postgresql://zeus:new@db:5432/l"}.get(name, "")
            if name in covered:
                (first, *_) = plan_for(name, given=given).changes
                assert first.new
                assert first.new != first.old


def test_both_keys_of_the_object_store_change_together() -> None:
    plan = plan_for("S3_SECRET_ACCESS_KEY", S3_ACCESS_KEY_ID="ab" * 10)
    assert [change.name for change in plan.changes] == ["S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"]
    with pytest.raises(UsageError, match="change together"):
        plan_for("S3_ACCESS_KEY_ID", given="cd" * 10)


def test_the_plan_shows_neither_value() -> None:
    plan = plan_for("REDIS_AUTH")
    assert OLD not in repr(plan)
    assert plan.changes[0].new not in repr(plan)


@pytest.mark.parametrize(
    ("name", "engine", "running", "given", "message"),
    [
        ("zeus", COMPOSE, True, "", "There is no secret zeus"),
        ("LANGFUSE_PORT", COMPOSE, True, "", "There is no secret LANGFUSE_PORT"),
        ("REDIS_AUTH", EMBEDDED, True, "", "The embedded engine does not use REDIS_AUTH"),
        ("POSTGRES_PASSWORD", COMPOSE, False, "", "PostgreSQL, which does not run"),
        ("SMTP_CONNECTION_URL", COMPOSE, True, "", "comes from whoever issued the former one"),
        ("BACKUP_PASSWORD", COMPOSE, True, "short", "NEW_VALUE contains characters other than"),
    ],
)
def test_what_cannot_be_rotated_so_is_refused(
    name: str, engine: EngineName, running: bool, given: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        plan_for(name, engine=engine, running=running, given=given)
    assert caught.value.fix


def test_a_secret_of_the_environment_is_refused() -> None:
    with pytest.raises(UsageError, match="set in the environment, which wins"):
        make_plan(
            "REDIS_AUTH", values={}, environment={"REDIS_AUTH": OLD}, engine=COMPOSE, running=True, given=""
        )


def test_the_password_of_a_store_of_ones_own_is_given_not_made() -> None:
    with pytest.raises(UsageError, match="comes from whoever issued"):
        plan_for("CLICKHOUSE_PASSWORD", CLICKHOUSE_URL="http://ch.acme.example:8123")
    given = plan_for(
        "CLICKHOUSE_PASSWORD", CLICKHOUSE_URL="http://ch.acme.example:8123", given="new-password-1"
    )
    assert given.changes[0].new == "new-password-1"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("# REDIS_AUTH=x\nREDIS_AUTH=old\nA=1\n", "# REDIS_AUTH=x\nREDIS_AUTH=new\nA=1\n"),
        ("export REDIS_AUTH = old\n", "export REDIS_AUTH =new\n"),
        ("MY_REDIS_AUTH=old", "MY_REDIS_AUTH=old\nREDIS_AUTH=new\n"),
        ("", "REDIS_AUTH=new\n"),
        ("REDIS_AUTH=\nREDIS_AUTH=old\nREDIS_AUTH=\n", "REDIS_AUTH=\nREDIS_AUTH=new\nREDIS_AUTH=\n"),
        ("REDIS_AUTH=old  # since May\r\nA=1\r\n", "REDIS_AUTH=new  # since May\r\nA=1\r\n"),
    ],
)
def test_one_line_of_the_env_file_changes(before: str, after: str) -> None:
    assert with_values(before, {"REDIS_AUTH": "new"}) == after


def test_a_value_with_a_dollar_sign_is_kept_as_it_is() -> None:
    assert with_values("A=1\n", {"A": r"\1\g<0>$&"}) == "A='\\1\\g<0>$&'\n"


def test_the_env_file_stays_private(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("A=1\n")
    path.chmod(0o600)
    write_values(path, {"A": "2"})
    assert path.read_text() == "A=2\n"
    assert path.stat().st_mode & 0o777 == 0o600


class FailingHands:
    """Remembers what it does, and fails at a step going forth, or back as well."""

    def __init__(self, fails_at: Step, *, back_too: bool = False) -> None:
        self.done: list[tuple[Step, str]] = []
        self._fails_at = fails_at
        self._back_too = back_too

    def do(self, step: Step, plan: Plan) -> None:
        new = plan.changes[0].new
        self.done.append((step, new))
        if step is self._fails_at and (new != OLD or self._back_too):
            raise StackError(f"{step.name} failed.", fix="mend it.")


def context_in(directory: Path) -> tuple[Context, Screen]:
    screen = Screen()
    console = Console({"CI": "1"}, screen.out, screen.err)
    return Context(layout_in(directory), {}, console, FakeRunner()), screen


@pytest.mark.parametrize("step", list(Step))
def test_a_step_that_fails_puts_the_former_value_back(tmp_path: Path, step: Step) -> None:
    context, _ = context_in(tmp_path)
    hands = FailingHands(step)
    plan = plan_for("POSTGRES_PASSWORD")
    with pytest.raises(StackError, match=f"was not rotated: {step.name} failed. The former value is back"):
        command.carry_out(context, plan, hands)
    forth = [one for one, value in hands.done if value != OLD]
    back = [one for one, value in hands.done if value == OLD]
    assert forth == list(plan.steps)[: len(forth)]
    assert forth[-1] is step
    assert back == list(plan.steps)
    assert journal_of(context.layout).read() is None


def test_when_putting_back_fails_too_both_values_are_kept(tmp_path: Path) -> None:
    context, _ = context_in(tmp_path)
    plan = plan_for("POSTGRES_PASSWORD")
    with pytest.raises(StackError, match=r"could neither be changed .* nor put back") as caught:
        command.carry_out(context, plan, FailingHands(Step.START, back_too=True))
    assert "make rotate UNDO=1" in caught.value.fix
    entry = journal_of(context.layout).read()
    assert entry
    assert not entry.done
    assert entry.changes == plan.changes
    assert journal_of(context.layout).path.stat().st_mode & 0o777 == 0o600


class Dies(Exception):
    """What kill -9 is to a test."""


@pytest.mark.parametrize("step", list(Step))
def test_a_process_that_dies_in_a_step_leaves_an_open_journal(tmp_path: Path, step: Step) -> None:
    context, _ = context_in(tmp_path)

    class Hands:
        def do(self, now: Step, _plan: Plan) -> None:
            if now is step:
                raise Dies

    with pytest.raises(Dies):
        command.carry_out(context, plan_for("POSTGRES_PASSWORD"), Hands())
    entry = journal_of(context.layout).read()
    assert entry
    assert (entry.secret, entry.done) == ("POSTGRES_PASSWORD", False)


def test_a_rotation_that_is_done_can_be_undone(tmp_path: Path) -> None:
    context, _ = context_in(tmp_path)
    plan = plan_for("REDIS_AUTH")
    command.carry_out(context, plan, FailingHands(Step.STORE))
    entry = journal_of(context.layout).read()
    assert entry
    assert entry.done
    assert plan.undone().changes == (Change("REDIS_AUTH", plan.changes[0].new, OLD),)


def test_passwords_go_over_standard_input_and_never_into_arguments(tmp_path: Path) -> None:
    runner = FakeRunner({"exec": Completed(0, "1\n")})
    context = Context(layout_in(tmp_path), {"PATH": os.environ["PATH"]}, Console({}), runner)
    stores = Stores(context, settings_with(ENGINE="compose", POSTGRES_PASSWORD=OLD))
    stores.set_postgres_password("new-secret", [OLD])
    stores.set_user_password(COMPOSE, "zeus@acme.example", "it's \\ new")
    for name in ("POSTGRES_PASSWORD", "CLICKHOUSE_PASSWORD", "REDIS_AUTH"):
        assert stores.takes(name, "new-secret")
    said: Sequence[str] = [line for line in runner.lines() if "new" in line or OLD in line]
    assert said == []
    assert runner.inputs[0] == f"{OLD}\nalter role current_user password 'new-secret';\n"
    assert "\\set password 'it\\'s \\\\ new'\n" in runner.inputs[1]


def test_a_password_that_would_end_the_statement_is_refused(tmp_path: Path) -> None:
    stores = Stores(Context(layout_in(tmp_path), {}, Console({}), FakeRunner()), settings_with())
    with pytest.raises(StackError, match="has a quote"):
        stores.set_postgres_password("a'; drop table users; --", [OLD])


def test_an_unknown_user_is_named(tmp_path: Path) -> None:
    context = Context(layout_in(tmp_path), {}, Console({}), FakeRunner({"exec": Completed(0, "\n")}))
    stores = Stores(context, settings_with(POSTGRES_PASSWORD=OLD))
    with pytest.raises(StackError, match=r"no user hermes@acme\.example"):
        stores.set_user_password(COMPOSE, "hermes@acme.example", "new-secret")
