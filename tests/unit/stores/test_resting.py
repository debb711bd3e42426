"""A worker that was stopped for a backup is started again, also when the command or the machine is killed."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.core.layout import Layout
from scripts.docker import guard
from scripts.docker.pause import Rest, begin_rest, read_rest
from scripts.docker.paused_worker import wake_worker, worker_at_rest
from tests.waiting import wait_for

REPOSITORY = Path(__file__).resolve().parents[3]
# What a command does, as a process that can be killed.
COMMAND = """
import sys
from pathlib import Path
from tests.unit.stores.test_resting import FakeServices, layout_in
from scripts.core.layout import only_one_command
from scripts.docker.paused_worker import worker_at_rest

services = FakeServices(layout_in(Path(sys.argv[1])))
with only_one_command(services.layout), worker_at_rest(services):
    print("at rest", flush=True)
    sys.stdin.read()
"""


class FakeServices:
    """Notes what is done to the worker in a file, which every process can see."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.log = layout.root / "log"

    def stop(self, *services: str) -> None:
        """Note it, and whether the mark was there before."""
        self._note(f"stop {' '.join(services)}, marked {self.layout.resting_worker_file.exists()}")

    def start(self, *services: str) -> None:
        """Note it."""
        self._note(f"start {' '.join(services)}")

    def restart(self, *services: str) -> None:
        """Note it."""
        self._note(f"restart {' '.join(services)}")

    def restart_command(self, *services: str) -> tuple[list[str], dict[str, str]]:
        """Return what notes it from another process."""
        text = f"restart {' '.join(services)} by the guard"
        return ["sh", "-c", 'echo "$0" >> "$1"', text, str(self.log)], dict(os.environ)

    def said(self) -> list[str]:
        """Return all notes."""
        return self.log.read_text().splitlines() if self.log.exists() else []

    def _note(self, text: str) -> None:
        with self.log.open("a") as file:
            file.write(f"{text}\n")


def layout_in(root: Path) -> Layout:
    """Return the layout of a stack in a directory."""
    return Layout(root, root / ".env", root / ".stack")


@pytest.fixture
def services(tmp_path: Path) -> Any:
    """A stack whose worker works."""
    return FakeServices(layout_in(tmp_path))


@pytest.fixture
def command(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A command that has stopped the worker."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "at rest\n"
        yield process
        process.kill()


STOPPED = "stop langfuse-worker, marked True"


def test_the_worker_stops_after_the_mark_and_starts_before_it_goes(services: Any) -> None:
    with worker_at_rest(services):
        rest = read_rest(services.layout)
        assert rest is not None
        assert rest.process == os.getpid()
        assert not rest.abandoned
        assert "is paused by a backup" in rest.text()
    assert services.said() == [STOPPED, "start langfuse-worker"]
    assert read_rest(services.layout) is None
    assert not wake_worker(services)


def test_a_failure_of_the_body_starts_it_too(services: Any) -> None:
    with pytest.raises(KeyboardInterrupt), worker_at_rest(services):
        raise KeyboardInterrupt
    assert services.said() == [STOPPED, "start langfuse-worker"]
    assert read_rest(services.layout) is None


def test_a_worker_that_does_not_start_keeps_the_mark(services: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: str) -> None:
        raise OSError("no engine answers")

    monkeypatch.setattr(services, "start", refuse)
    with pytest.raises(OSError, match="no engine"), worker_at_rest(services):
        pass
    assert read_rest(services.layout) is not None


def test_the_guard_starts_it_when_the_command_is_killed(
    services: Any, command: subprocess.Popen[str]
) -> None:
    os.killpg(command.pid, signal.SIGKILL)
    wait_for(lambda: read_rest(services.layout) is None, "a worker that is started again")
    assert services.said() == [STOPPED, "restart langfuse-worker by the guard"]


@pytest.mark.parametrize("code", [0, 1])
def test_the_guard_waits_for_other_commands_and_keeps_the_mark_if_it_fails(services: Any, code: int) -> None:
    begin_rest(services.layout)
    with services.layout.lock_file.open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with guard_with(services, code) as process:
            assert process.stdin
            process.stdin.close()
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.3)
            fcntl.flock(lock, fcntl.LOCK_UN)
            assert process.wait(20) == code
    assert services.said() == ["restarted"]
    assert services.layout.resting_worker_file.exists() == bool(code)


def test_the_guard_leaves_it_to_a_command_that_has_come_since(services: Any) -> None:
    begin_rest(services.layout)
    with services.layout.lock_file.open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with guard_with(services, 0) as process:
            assert process.stdin
            process.stdin.close()
            assert wake_worker(services)
            fcntl.flock(lock, fcntl.LOCK_UN)
            assert process.wait(20) == 0
    assert services.said() == ["restart langfuse-worker"]


def test_where_the_guard_was_killed_as_well_a_later_command_starts_it(
    services: Any, command: subprocess.Popen[str]
) -> None:
    os.kill(guard_of(command.pid), signal.SIGKILL)
    command.kill()
    command.wait()
    rest = read_rest(services.layout)
    assert rest is not None
    assert rest.abandoned
    assert "make up starts it" in rest.text()
    assert wake_worker(services)
    assert services.said() == [STOPPED, "restart langfuse-worker"]
    assert read_rest(services.layout) is None


def test_a_mark_that_cannot_be_read_counts_as_abandoned(services: Any) -> None:
    begin_rest(services.layout)
    services.layout.resting_worker_file.write_text("{")
    rest = read_rest(services.layout)
    assert rest is not None
    assert rest.abandoned


def test_a_process_of_somebody_else_counts_as_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refused)
    assert not Rest(1, "now").abandoned


def guard_with(services: Any, code: int) -> subprocess.Popen[bytes]:
    """Start a guard whose command says so and ends with this code."""
    command = ["sh", "-c", f'echo restarted >> "$0" && exit {code}', str(services.log)]
    files = [str(services.layout.resting_worker_file), str(services.layout.lock_file)]
    return subprocess.Popen([sys.executable, guard.__file__, *files, *command], stdin=subprocess.PIPE)


def guard_of(command: int) -> int:
    """Return the process that a command has started."""
    found = Path(f"/proc/{command}/task/{command}/children").read_text().split()
    assert len(found) == 1
    return int(found[0])
