"""An upgrade that fails at any step ends in the old, working state with nothing lost."""

from __future__ import annotations

import pytest

from scripts.core.errors import StackError
from scripts.data.upgrade.compose import ComposeHands, levels_of
from scripts.data.upgrade.execute import RolledBack
from scripts.data.upgrade.journal import Entry, journal_of
from scripts.data.upgrade.steps import Step
from tests.scenarios.load import wait_healthy
from tests.scenarios.report import Report
from tests.scenarios.stack import Stack

from .drill import (
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
    upgrade,
    versions,
)


def test_a_migration_that_fails_ends_in_the_old_version_with_nothing_lost(
    seeded: Stack, monkeypatch: pytest.MonkeyPatch, report: Report
) -> None:
    real = ComposeHands.do

    def do(self: ComposeHands, step: Step, entry: Entry) -> Entry:
        if step is Step.VERSION:  # after the backup, before the new version
            post_score(seeded, "after-the-backup")
        return real(self, step, entry)

    monkeypatch.setattr(ComposeHands, "do", do)
    fail_under_load(seeded, report, "upgrade")
    assert has_score(seeded, "after-the-backup")


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


@pytest.fixture(scope="module")
def backed_up(seeded: Stack) -> Entry:
    """Return the journal of an upgrade that was killed after its backup: the next one goes on from there."""
    with pytest.MonkeyPatch.context() as patched:
        breaking(patched, Step.VERSION, Killed())
        with pytest.raises(Killed):
            upgrade(seeded, NEW)
    entry = journal_of(seeded.context.layout).read()
    assert entry is not None
    assert entry.snapshot
    return entry


@pytest.mark.parametrize("step", [Step.WEB, Step.MIGRATIONS, Step.WORKER, Step.READ_BACK, Step.SMOKE])
def test_a_failure_afterwards_brings_the_data_back_and_replays_what_came_in(
    seeded: Stack, backed_up: Entry, monkeypatch: pytest.MonkeyPatch, step: Step
) -> None:
    before, was = content(seeded), levels_of(backed_up)
    journal_of(seeded.context.layout).save(backed_up)
    name = f"before-{step.name.lower()}"
    with monkeypatch.context() as patched:
        breaking(patched, step, StackError("on purpose."), before=lambda: post_score(seeded, name))
        with pytest.raises(RolledBack, match="on purpose"):
            upgrade(seeded)
    wait_healthy(seeded)
    assert versions(seeded) == {OLD}
    assert levels(seeded) == was
    assert lost(before, content(seeded)) == {}
    assert has_score(seeded, name)
