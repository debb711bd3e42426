"""An upgrade that fails, or dies, at any step: the old version works on its data, and nothing is lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scripts.core.errors import StackError
from scripts.data.upgrade.execute import RolledBack, roll_back, upgrade
from scripts.data.upgrade.journal import Entry, journal_of
from scripts.data.upgrade.steps import STEPS, Step, Undo, way_back
from scripts.engines.base import EngineName
from scripts.run.status import upgrade_rows
from tests.unit.scripts.fakes import layout_in
from tests.unit.upgrade.world import FIRST, NEW, OLD, FakeHands, Killed, World

ORDER = STEPS[EngineName.COMPOSE]
early_and_late = pytest.mark.parametrize("late", [False, True], ids=["before its effect", "after its effect"])


def quiet(_: str) -> None:
    """Say nothing."""


def entry_in(directory: Path) -> Entry:
    found = journal_of(layout_in(directory)).read()
    assert found is not None
    return found


def test_an_upgrade_ends_with_all_at_the_new_version(tmp_path: Path) -> None:
    world = World()
    seconds = upgrade(layout_in(tmp_path), FIRST, FakeHands(world), quiet)
    assert world.works_as(NEW)
    assert world.lost == set()
    assert list(seconds) == list(ORDER)
    kept = entry_in(tmp_path)
    assert kept.done
    assert not kept.open
    assert kept.snapshot == "b1"


@early_and_late
@pytest.mark.parametrize("step", ORDER)
def test_a_step_that_fails_ends_in_the_old_version_with_nothing_lost(
    tmp_path: Path, step: Step, late: bool
) -> None:
    world = World()
    with pytest.raises(RolledBack, match=f"Not upgraded to {NEW}: it failed. {OLD} is back") as caught:
        upgrade(layout_in(tmp_path), FIRST, FakeHands(world, fails_at=step, late=late), quiet)
    assert caught.value.fix == "mend it."
    assert world.works_as(OLD)
    assert world.lost == set()
    assert "before" in world.rows
    assert journal_of(layout_in(tmp_path)).read() is None


@pytest.mark.parametrize("step", ORDER)
def test_a_failure_without_migrations_keeps_the_data_that_is_there(tmp_path: Path, step: Step) -> None:
    world = World()
    rows = world.rows
    with pytest.raises(RolledBack):
        upgrade(layout_in(tmp_path), FIRST, FakeHands(world, fails_at=step, late=True, migrates=False), quiet)
    assert world.works_as(OLD)
    assert world.rows is rows, "no backup was put in its place"
    assert world.lost == set()


def test_an_error_that_nobody_expects_is_rolled_back_too(tmp_path: Path) -> None:
    world = World()
    hands = FakeHands(world, fails_at=Step.WORKER, error=ZeroDivisionError("division by zero"))
    with pytest.raises(RolledBack, match="ZeroDivisionError: division by zero"):
        upgrade(layout_in(tmp_path), FIRST, hands, quiet)
    assert world.works_as(OLD)


@early_and_late
@pytest.mark.parametrize("step", ORDER)
def test_an_upgrade_that_was_killed_goes_on(tmp_path: Path, step: Step, late: bool) -> None:
    world, layout = World(), layout_in(tmp_path)
    with pytest.raises(Killed):
        upgrade(layout, FIRST, FakeHands(world, dies_at=step, late=late), quiet)
    left = entry_in(tmp_path)
    assert left.open
    assert left.step is step
    hands = FakeHands(world)
    upgrade(layout, left, hands, quiet)
    assert hands.done[0] is step, "what was done is not done again"
    assert world.works_as(NEW)
    assert world.lost == set()


@early_and_late
@pytest.mark.parametrize("step", ORDER)
def test_an_upgrade_that_was_killed_can_be_rolled_back(tmp_path: Path, step: Step, late: bool) -> None:
    world, layout = World(), layout_in(tmp_path)
    with pytest.raises(Killed):
        upgrade(layout, FIRST, FakeHands(world, dies_at=step, late=late), quiet)
    roll_back(layout, entry_in(tmp_path), FakeHands(world), quiet)
    assert world.works_as(OLD)
    assert world.lost == set()
    assert journal_of(layout).read() is None


@early_and_late
@pytest.mark.parametrize("undo", list(Undo))
def test_a_way_back_that_was_killed_is_gone_again(tmp_path: Path, undo: Undo, late: bool) -> None:
    world, layout = World(), layout_in(tmp_path)
    hands = FakeHands(world, fails_at=Step.SMOKE, dies_at=undo, late=late)
    with pytest.raises(Killed):
        upgrade(layout, FIRST, hands, quiet)
    left = entry_in(tmp_path)
    assert left.going_back
    assert left.open
    roll_back(layout, left, FakeHands(world), quiet)
    assert world.works_as(OLD)
    assert world.lost == set()


@pytest.mark.parametrize("undo", list(Undo))
def test_a_way_back_that_fails_keeps_the_journal_and_says_both(tmp_path: Path, undo: Undo) -> None:
    class Broken(FakeHands):
        def undo(self, undo_step: Undo, entry: Entry) -> Entry:
            if undo_step is undo:
                raise StackError("the disk is full.", details=["no space"])
            return super().undo(undo_step, entry)

    world, layout = World(), layout_in(tmp_path)
    with pytest.raises(
        StackError, match=r"failed \(it failed.\), and so did the way back: the disk is full"
    ) as caught:
        upgrade(layout, FIRST, Broken(world, fails_at=Step.SMOKE), quiet)
    assert "make rollback (backup b1)" in caught.value.fix
    assert "no space" in caught.value.details
    roll_back(layout, entry_in(tmp_path), FakeHands(world), quiet)
    assert world.works_as(OLD)
    assert world.lost == set()


@pytest.mark.parametrize("step", [Step.PULL, Step.BACKUP])
def test_the_former_version_is_set_where_the_default_has_moved_on(tmp_path: Path, step: Step) -> None:
    world = World(env=NEW)
    with pytest.raises(RolledBack):
        upgrade(layout_in(tmp_path), FIRST, FakeHands(world, fails_at=step), quiet)
    assert world.works_as(OLD)


def test_a_finished_upgrade_can_be_rolled_back(tmp_path: Path) -> None:
    world, layout = World(), layout_in(tmp_path)
    upgrade(layout, FIRST, FakeHands(world), quiet)
    world.acknowledge("days later")
    roll_back(layout, entry_in(tmp_path), FakeHands(world), quiet)
    assert world.works_as(OLD)
    assert world.lost == set()
    assert "days later" in world.rows


def test_what_was_not_begun_is_not_undone() -> None:
    for step in (Step.PULL, Step.BACKUP, Step.VERSION):
        assert way_back(EngineName.COMPOSE, step) == (Undo.VERSION, Undo.START)
    assert way_back(EngineName.COMPOSE, Step.WEB) == tuple(Undo)
    assert way_back(EngineName.EMBEDDED, Step.COPY) == ()
    assert way_back(EngineName.EMBEDDED, Step.START) == (Undo.DATA,)


def test_the_journal_reads_what_it_wrote(tmp_path: Path) -> None:
    layout = layout_in(tmp_path)
    entry = replace(FIRST, step=Step.WEB, snapshot="abc", levels={"postgres": 2, "unfinished": []})
    journal_of(layout).save(entry)
    assert journal_of(layout).read() == entry
    assert journal_of(layout).path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "{", "[]", '{"engine": "compose"}', '{"engine": "zeus", "step": "x"}'])
def test_a_damaged_journal_is_said_to_be_so(tmp_path: Path, text: str) -> None:
    layout = layout_in(tmp_path)
    layout.stack_dir.mkdir()
    journal_of(layout).path.write_text(text)
    with pytest.raises(StackError, match=r"upgrade.json cannot be read"):
        journal_of(layout).read()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"done": True}, ""),
        ({"step": Step.WEB}, f"to {NEW}, interrupted at: {Step.WEB} (go on: make upgrade; undo it: "),
        ({"done": True, "going_back": True}, f"the way back to {OLD} was interrupted (go on: make rollback)"),
    ],
)
def test_status_names_an_upgrade_that_was_interrupted(
    tmp_path: Path, changes: dict[str, Any], text: str
) -> None:
    layout = layout_in(tmp_path)
    assert upgrade_rows(layout) == []
    journal_of(layout).save(replace(FIRST, **changes))
    rows = upgrade_rows(layout)
    assert len(rows) == bool(text)
    assert not text or rows[0][1].startswith(text)


def test_status_survives_a_damaged_journal(tmp_path: Path) -> None:
    layout = layout_in(tmp_path)
    layout.stack_dir.mkdir()
    journal_of(layout).path.write_text("{")
    assert "upgrade.json cannot be read" in upgrade_rows(layout)[0][1]
