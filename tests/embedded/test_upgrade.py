"""Data of an older version of the embedded engine: upgraded with a copy, brought back when that fails."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.core.errors import EXIT_FAILED, EXIT_OK, EngineError, UsageError
from scripts.core.runner import SubprocessRunner
from scripts.data.upgrade import command
from scripts.data.upgrade.embedded import EmbeddedHands
from scripts.data.upgrade.execute import RolledBack
from scripts.data.upgrade.journal import Entry, journal_of
from scripts.data.upgrade.steps import Step
from scripts.engines.embedded_schema import stored_levels
from scripts.run import destroy
from tests.embedded.backups import Stack, everything, fill, stack_in
from tests.embedded.harness import REPOSITORY

WORKS = "create table rehearsed (name text) strict;\ninsert into rehearsed values ('new');\n"
FAILS = "create table rehearsed (name text) strict;\ninsert into absent values (1);\n"


class Killed(BaseException):
    """Ends the command where it is."""


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """Return a running stack with something of everything in it."""
    stack = stack_in(tmp_path / "stack")
    stack.up()
    with stack.client() as client:
        fill(client, traces=3)
    yield stack
    stack.stop()


def newer_checkout(stack: Stack, tmp_path: Path, script: str) -> Stack:
    """Return the stack as a later version of the repository sees it, which has one more step for state.db."""
    code = tmp_path / "newer"
    shutil.copytree(
        REPOSITORY / "embedded" / "src" / "langfuse_embedded",
        code / "embedded" / "src" / "langfuse_embedded",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    folder = code / "embedded" / "src" / "langfuse_embedded" / "store" / "schema" / "state"
    (folder / "0999_rehearsed.sql").write_text(script)
    (code / "scripts").symlink_to(REPOSITORY / "scripts")
    found = stack.with_environment(PYTHONPATH=str(code / "embedded" / "src"))
    return Stack(replace(found.context, runner=SubprocessRunner(code)), stack.screen)


def upgrade(stack: Stack, to: str = "", *, check: bool = False) -> int:
    return command.upgrade(stack.context, to=to, check=check, yes=True, with_smoke=False)


def content(stack: Stack) -> dict[str, object]:
    with stack.client() as client:
        return everything(client)


def state_level(stack: Stack) -> int:
    return stored_levels(stack.layout.embedded_dir)["state.db"]


def test_an_upgrade_keeps_all_data_and_a_copy_of_before(stack: Stack, tmp_path: Path) -> None:
    before, level = content(stack), state_level(stack)
    newer = newer_checkout(stack, tmp_path, WORKS)
    assert upgrade(newer, check=True) == EXIT_OK
    assert state_level(stack) == level, "a check changes nothing"
    assert upgrade(newer) == EXIT_OK
    assert state_level(stack) == 999
    assert content(newer) == before
    assert stored_levels(stack.layout.before_upgrade_dir)["state.db"] == level
    assert "rows in" in stack.screen.err.getvalue()
    assert upgrade(newer) == EXIT_OK
    assert "Nothing to do" in stack.screen.out.getvalue()


def test_older_data_is_not_migrated_by_the_way(stack: Stack, tmp_path: Path) -> None:
    level = state_level(stack)
    stack.stop()
    newer = newer_checkout(stack, tmp_path, WORKS)
    with pytest.raises(EngineError, match="written by an older version") as caught:
        newer.up()
    assert "make upgrade" in caught.value.fix
    assert state_level(stack) == level


def test_a_migration_that_fails_leaves_the_data_of_before(stack: Stack, tmp_path: Path) -> None:
    before, level = content(stack), state_level(stack)
    newer = newer_checkout(stack, tmp_path, FAILS)
    with pytest.raises(RolledBack, match=f"state {level} is back") as caught:
        upgrade(newer)
    assert any("absent" in line for line in caught.value.details)
    assert "check out the version that wrote it" in stack.screen.err.getvalue()
    assert state_level(stack) == level
    assert journal_of(stack.layout).read() is None
    stack.up()
    assert content(stack) == before


@pytest.mark.slow
@pytest.mark.parametrize("step", [Step.COPY, Step.START, Step.READ_BACK])
def test_an_upgrade_that_was_killed_goes_on_or_back(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: Step
) -> None:
    before, level = content(stack), state_level(stack)
    newer = newer_checkout(stack, tmp_path, WORKS)
    real = EmbeddedHands.do

    def dies(self: EmbeddedHands, done: Step, entry: Entry) -> Entry:
        entry = real(self, done, entry)
        if done is step:
            raise Killed
        return entry

    with monkeypatch.context() as patched:
        patched.setattr(EmbeddedHands, "do", dies)
        with pytest.raises(Killed):
            upgrade(newer)
    assert upgrade(newer) == EXIT_OK
    assert content(newer) == before

    assert command.rollback(newer.context, yes=True, check=False) == EXIT_OK
    assert state_level(stack) == level
    stack.up()
    assert content(stack) == before


@pytest.mark.slow
def test_a_rollback_keeps_what_came_in_since(stack: Stack, tmp_path: Path) -> None:
    before = content(stack)
    newer = newer_checkout(stack, tmp_path, WORKS)
    assert upgrade(newer) == EXIT_OK
    with newer.client() as client:
        (late,) = fill(client, traces=1)
    assert command.rollback(newer.context, yes=True, check=False) == EXIT_OK
    stack.up()
    assert content(stack) == before
    kept = stack.layout.after_upgrade_dir
    with closing(sqlite3.connect(kept / "events.db")) as db:
        found = db.execute(
            "select count(*) from observations where trace_id = ?", (bytes.fromhex(late),)
        ).fetchone()[0]
    assert found == 5


def test_data_of_a_newer_version_is_refused(stack: Stack, tmp_path: Path) -> None:
    assert upgrade(newer_checkout(stack, tmp_path, WORKS)) == EXIT_OK
    stack.stop()
    assert upgrade(stack, check=True) == EXIT_FAILED
    with pytest.raises(UsageError, match="Refused") as caught:
        upgrade(stack)
    assert "newer version has written the data" in caught.value.details[0]
    assert state_level(stack) == 999


def test_a_version_cannot_be_chosen_for_the_embedded_engine(stack: Stack) -> None:
    with pytest.raises(UsageError, match="is that of this repository"):
        upgrade(stack, "4.60.0")


def test_a_finding_that_cannot_be_allowed_is_not_taken_for_one(stack: Stack) -> None:
    with pytest.raises(UsageError, match="ALLOW=zeus cannot be allowed") as caught:
        command.upgrade(stack.context, to="", check=True, yes=True, allow=["disk", "zeus"])
    assert "background, clickhouse, disk" in caught.value.fix


@pytest.mark.slow
def test_damaged_data_is_not_upgraded(stack: Stack, tmp_path: Path) -> None:
    stack.stop()
    path = stack.layout.embedded_dir / "state.db"
    damaged = bytearray(path.read_bytes())
    damaged[8192:12288] = b"\xff" * 4096
    path.write_bytes(bytes(damaged))
    with pytest.raises(RolledBack, match="damaged"):
        upgrade(newer_checkout(stack, tmp_path, WORKS))
    assert path.read_bytes() == bytes(damaged)


@pytest.mark.slow
def test_destroy_deletes_the_copies_too(stack: Stack, tmp_path: Path) -> None:
    assert upgrade(newer_checkout(stack, tmp_path, WORKS)) == EXIT_OK
    assert stack.layout.before_upgrade_dir.exists()
    assert destroy.destroy(stack.context, yes=True, dry_run=False) == EXIT_OK
    assert not stack.layout.before_upgrade_dir.exists()
