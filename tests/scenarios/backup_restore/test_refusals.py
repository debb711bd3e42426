"""Restores that must not happen or break in the middle, backups that are killed: nothing is lost by them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from scripts.backup.drivers.compose import ComposeDriver
from scripts.backup.errors import BackupError, Refused, RepositoryError, WrongPassword
from scripts.core.errors import EXIT_FAILED, EXIT_OK
from scripts.core.resting import read_rest
from scripts.core.settings.envfile import read_env
from scripts.doctor import verb as doctor
from scripts.stores.clickhouse import ClickHouse
from scripts.stores.postgres import Postgres
from scripts.stores.services import Services
from tests.scenarios.backup_restore.drill import (
    back_up,
    bring_back,
    client,
    content_hash,
    password,
    poll,
    seed,
    seen_with,
    unchanged,
    with_repository,
)
from tests.scenarios.conftest import MakeStack
from tests.scenarios.load import wait_healthy
from tests.scenarios.reconcile.test_reconcile import tell_worker
from tests.scenarios.stack import ROOT, Stack, export, new_id, readable

# A backup that never gets to the end of PostgreSQL's dump.
BACKUP_FOR_EVER = """
import os, sys, time
from pathlib import Path
from scripts.backup import backup
from scripts.core.console import Console
from scripts.core.context import Context
from scripts.core.layout import Layout
from scripts.core.runner import SubprocessRunner
from scripts.stores.postgres import Postgres

root = Path.cwd()
Postgres.dump = lambda *_: time.sleep(600)
layout = Layout(root, Path(sys.argv[1]), Path(sys.argv[2]))
backup.run(Context(layout, os.environ, Console(), SubprocessRunner(root)), dry_run=False)
"""


class Killed(BaseException):
    """Ends the verb where it is. Nothing of it may clean up: see `die`."""


@pytest.fixture(scope="module")
def saved(make_stack: MakeStack, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """A running stack with a backup, and with a trace that came after it."""
    stack = with_repository(make_stack(), tmp_path_factory.mktemp("backups") / "repository")
    stack.up()
    seed(stack, 100)
    back_up(stack)
    trace = new_id(16)
    with client(stack, "kosmos") as api:
        assert export(api, trace, [new_id(8)]).status_code == 200
        poll(lambda: len(readable(api, trace)) == 1, "the trace after the backup")
    return stack


def test_a_live_stack_is_refused(saved: Stack) -> None:
    with unchanged(saved), pytest.raises(Refused, match="has data"):
        bring_back(saved)


def test_a_wrong_password_is_refused(saved: Stack) -> None:
    with unchanged(saved), pytest.raises(WrongPassword):
        bring_back(seen_with(saved, BACKUP_PASSWORD="0" * 64), replace_data=True)


def test_another_salt_is_refused(saved: Stack, tmp_path: Path) -> None:
    env_file = saved.context.layout.env_file
    kept = shutil.copy(env_file, tmp_path / "env")
    salt = read_env(env_file).values()["SALT"]
    try:
        env_file.write_text(env_file.read_text().replace(salt, "5a" * 32))
        with pytest.raises(Refused, match="SALT"):
            bring_back(saved, replace_data=True)
    finally:
        shutil.copy(kept, env_file)
    assert content_hash(saved)


def test_a_newer_version_is_refused(saved: Stack) -> None:
    with unchanged(saved), pytest.raises(Refused, match="newer version") as caught:
        bring_back(seen_with(saved, LANGFUSE_VERSION="4.58.0"), replace_data=True)
    assert "4.59.0" in caught.value.details[0]


@pytest.mark.parametrize("damage", ["flipped byte", "missing pack"])
def test_a_damaged_repository_is_refused(saved: Stack, tmp_path: Path, damage: str) -> None:
    copy = Path(shutil.copytree(saved.context.environment["BACKUP_REPOSITORY"], tmp_path / "copy"))
    packs = sorted((copy / "data").glob("*/*"), key=lambda path: path.stat().st_size)
    packs[-1].chmod(0o600)
    if damage == "missing pack":
        packs[-1].unlink()
    else:
        content = bytearray(packs[-1].read_bytes())
        content[len(content) // 3] ^= 1
        packs[-1].write_bytes(bytes(content))
    with unchanged(saved), pytest.raises(RepositoryError):
        bring_back(seen_with(saved, BACKUP_REPOSITORY=str(copy)), replace_data=True)


def test_what_was_there_comes_back_when_the_restored_stores_differ(
    saved: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = ClickHouse.counts

    def other(self: ClickHouse) -> dict[str, dict[str, int]]:
        counts = found(self)
        counts["events_full"]["kosmos"] += 1
        return counts

    before = content_hash(saved)
    with monkeypatch.context() as patched:
        patched.setattr(ClickHouse, "counts", other)
        with pytest.raises(BackupError, match="not what was saved") as caught:
            bring_back(saved, replace_data=True)
    assert any("clickhouse.events_full of kosmos: 101 rows" in line for line in caught.value.details)
    assert content_hash(saved) == before


@pytest.mark.parametrize(
    ("kind", "phase"),
    [(Postgres, "load"), (ClickHouse, "restore"), (ComposeDriver, "exchange")],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_after_a_kill_the_next_restore_begins_with_what_was_there(
    saved: Stack, monkeypatch: pytest.MonkeyPatch, kind: type, phase: str
) -> None:
    before = content_hash(saved)
    with monkeypatch.context() as patched:
        patched.setattr(kind, phase, die)
        # What a killed process does not do.
        patched.setattr("scripts.backup.drivers.compose_exchange.ComposeExchange.undo", lambda _: None)
        patched.setattr("scripts.backup.replacement.Replacement.undo", lambda _: None)
        with pytest.raises(Killed):
            bring_back(saved, replace_data=True)
    with pytest.raises(Refused, match="has data"):
        bring_back(saved)
    saved.up()
    assert content_hash(saved) == before


def test_a_killed_backup_leaves_no_worker_stopped(saved: Stack) -> None:
    with backup_at_rest(saved) as process:
        assert "rests for a backup" in saved.state().detail
        process.kill()
        poll(lambda: read_rest(saved.context.layout) is None, "the mark of the stopped worker")
    wait_healthy(saved)


def test_where_the_whole_machine_went_down_status_names_it_and_the_doctor_starts_the_worker(
    saved: Stack,
) -> None:
    with backup_at_rest(saved) as process:
        for child in psutil.Process(process.pid).children():
            child.kill()  # the guard too
        process.kill()
    state = saved.state()
    assert not state.healthy
    assert "make up starts it" in state.detail
    assert doctor.run(saved.context, only="backup.worker") == EXIT_FAILED
    assert doctor.run(saved.context, only="backup.worker", fix=True, yes=True) == EXIT_OK
    wait_healthy(saved)


def test_the_next_backup_after_a_killed_one_is_whole(saved: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Postgres, "dump", die)
        patched.setattr(Services, "start", lambda *_: None)
        patched.setattr("scripts.stores.resting.end_rest", lambda _: None)
        with pytest.raises(Killed):
            back_up(saved)
    assert not saved.state().healthy
    back_up(saved)
    wait_healthy(saved)


def test_a_backup_comes_back_in_a_second_stack_beside_the_first(saved: Stack, make_stack: MakeStack) -> None:
    back_up(saved)
    repository = Path(saved.context.environment["BACKUP_REPOSITORY"])
    second = with_repository(make_stack(), repository)
    assert bring_back(seen_with(second, BACKUP_PASSWORD=password(saved))) == 0
    assert content_hash(second) == content_hash(saved)
    assert second.keys()["LANGFUSE_BASE_URL"].endswith(second.context.environment["LANGFUSE_PORT"])
    second.destroy()
    assert saved.state().healthy


def test_what_waited_in_a_queue_when_the_backup_was_made_comes_back(
    saved: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace, score = new_id(16), f"waiting/{new_id(4)}"
    tell_worker(saved, "stall")
    with client(saved, "kosmos") as api:
        assert export(api, trace, [new_id(8)]).status_code == 200
        body = {"id": score, "traceId": trace, "name": "mood", "value": 1}
        api.post("/api/public/scores", json=body).raise_for_status()
        with monkeypatch.context() as patched:
            patched.setattr("scripts.backup.drivers.compose.DRAIN_S", 0.0)
            back_up(saved)
        # The restored queues are empty: neither the jobs nor the fault of the worker are there any more.
        assert bring_back(saved, replace_data=True) == 0
        assert len(readable(api, trace)) == 1
        found = api.get("/api/public/v3/scores", params={"id": score}).raise_for_status().json()["data"]
        assert [row["id"] for row in found] == [score]
    wait_healthy(saved)


def test_one_store_comes_back_alone(saved: Stack) -> None:
    later = new_id(16)
    with client(saved, "kosmos") as api:
        assert export(api, later, [new_id(8)]).status_code == 200
        poll(lambda: len(readable(api, later)) == 1, "the trace after the backup")
        body = {"name": "after the backup", "type": "text", "prompt": "kept"}
        api.post("/api/public/v2/prompts", json=body).raise_for_status()
    assert bring_back(saved, replace_data=True, only="clickhouse") == 0
    with client(saved, "kosmos") as api:
        names = [row["name"] for row in api.get("/api/public/v2/prompts").json()["data"]]
        assert "after the backup" in names
        assert readable(api, later) == set()


@contextmanager
def backup_at_rest(stack: Stack) -> Iterator[subprocess.Popen[bytes]]:
    """Give a `backup` that has just stopped the worker, as a process that can be killed."""
    layout = stack.context.layout
    arguments = [str(layout.env_file), str(layout.stack_dir)]
    with subprocess.Popen(
        [sys.executable, "-c", BACKUP_FOR_EVER, *arguments], env=dict(stack.context.environment), cwd=ROOT
    ) as process:
        poll(lambda: not running(stack, "langfuse-worker"), "the backup that stops the worker")
        yield process
        process.kill()


def running(stack: Stack, service: str) -> bool:
    """Return whether a service runs."""
    return any(part.name == service and part.state == "running" for part in stack.state().parts)


def die(*_: object, **__: object) -> None:
    """Be killed."""
    raise Killed
