"""Backups and restores that are killed, and a backup while the worker stands still: nothing is lost."""

from __future__ import annotations

import pytest

from scripts.check.doctor import command as doctor
from scripts.core.errors import EXIT_FAILED, EXIT_OK, StackError
from scripts.data.backup.errors import Refused
from scripts.data.backup.repository import open_repository
from scripts.docker.pause import read_rest
from tests.killing import BACK_UP, RESTORE, run_killed
from tests.scenarios.load import wait_healthy
from tests.scenarios.reconcile.test_reconcile import tell_worker
from tests.scenarios.stack import Stack, export, new_id, readable
from tests.waiting import wait_for

from .drill import back_up, bring_back, client, content_hash

DUMP = "scripts.stores.postgres:Postgres.dump"
BACKUP_PHASES = (
    "scripts.stores.clickhouse:ClickHouse.back_up",
    DUMP,
    "scripts.stores.clickhouse:ClickHouse.fetch",
    "scripts.data.backup.saving:list_files",
    "scripts.data.backup.repository:Repository.save",
)
RESTORE_PHASES = (
    "scripts.stores.postgres:Postgres.load",
    "scripts.stores.clickhouse:ClickHouse.restore",
    "scripts.data.backup.restoring:prove",
)


def backups_of(stack: Stack) -> list[str]:
    """Return the ids of all backups."""
    return [one.id for one in open_repository(stack.context, stack.context.settings()).snapshots()]


def test_a_killed_backup_leaves_no_worker_stopped(saved: Stack) -> None:
    run_killed(BACK_UP, DUMP, saved.context)
    wait_for(lambda: read_rest(saved.context.layout) is None, "the end of the worker's rest")
    wait_healthy(saved)


def test_where_the_machine_went_down_status_names_it_and_the_doctor_starts_the_worker(saved: Stack) -> None:
    run_killed(BACK_UP, DUMP, saved.context, machine=True)
    state = saved.state()
    assert not state.healthy
    assert "make up starts it" in state.detail
    assert doctor.doctor(saved.context, only="backup.worker") == EXIT_FAILED
    assert doctor.doctor(saved.context, only="backup.worker", fix=True, yes=True) == EXIT_OK
    wait_healthy(saved)


def test_a_backup_killed_in_any_phase_is_no_backup_and_the_next_one_is_whole(saved: Stack) -> None:
    before = backups_of(saved)
    for place in BACKUP_PHASES:
        run_killed(BACK_UP, place, saved.context, machine=True)
    assert backups_of(saved) == before
    made = back_up(saved)
    assert backups_of(saved) == [*before, made]
    wait_healthy(saved)


def test_what_waited_in_a_queue_when_the_backup_was_made_comes_back(
    saved: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace, score = new_id(16), new_id(8)
    tell_worker(saved, "stall")
    with client(saved, "kosmos") as api:
        assert export(api, trace, [new_id(8)]).status_code == 200
        body = {"id": score, "traceId": trace, "name": "mood", "value": 1}
        api.post("/api/public/scores", json=body).raise_for_status()
        with monkeypatch.context() as patched:
            patched.setattr("scripts.data.backup.drivers.compose.DRAIN_S", 0.0)
            back_up(saved)
        # The restored queues are empty: neither the jobs nor the fault of the worker are there any more.
        assert bring_back(saved, replace_data=True) == 0
        assert len(readable(api, trace)) == 1
        found = api.get("/api/public/v3/scores", params={"id": score}).raise_for_status().json()["data"]
        assert [row["id"] for row in found] == [score]
    wait_healthy(saved)


def test_after_a_restore_killed_in_any_phase_the_next_one_begins_with_what_was_there(saved: Stack) -> None:
    later = new_id(16)
    back_up(saved)
    wanted = content_hash(saved)
    with client(saved, "kosmos") as api:
        assert export(api, later, [new_id(8)]).status_code == 200
        wait_for(lambda: len(readable(api, later)) == 1, "the trace after the backup")
    before = content_hash(saved)
    assert before != wanted
    for place in RESTORE_PHASES:
        run_killed(RESTORE, place, saved.context)
        with pytest.raises(StackError, match="A restore was interrupted"):
            saved.up()
    with pytest.raises(Refused, match="has data"):
        bring_back(saved)
    saved.up()
    assert content_hash(saved) == before
    assert bring_back(saved, replace_data=True) == EXIT_OK
    assert content_hash(saved) == wanted
