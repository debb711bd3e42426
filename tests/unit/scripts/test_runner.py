"""Programs that are watched while they run."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from scripts.core.errors import StackError, command_text
from scripts.core.runner import SubprocessRunner

TALKS = "import sys, time; print('begun', file=sys.stderr, flush=True); time.sleep(0.4); print('result')"
STAYS = "import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(60)"


def python(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_the_watcher_sees_what_was_said_so_far_and_the_result_is_whole(tmp_path: Path) -> None:
    seen: list[str] = []
    done = SubprocessRunner(tmp_path).watched(python(TALKS), seen.append, every_s=0.05, timeout_s=20)
    assert (done.returncode, done.stdout, done.stderr) == (0, "result\n", "begun\n")
    assert "begun\n" in seen


def test_what_the_watcher_raises_ends_the_program(tmp_path: Path) -> None:
    def interrupt(_said: str) -> None:
        if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SubprocessRunner(tmp_path).watched(python(STAYS), interrupt, every_s=0.05, timeout_s=20)
    assert not is_alive(int((tmp_path / "pid").read_text()))


def test_a_program_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="did not end within 1 s"):
        SubprocessRunner(tmp_path).watched(python(STAYS), lambda _said: None, every_s=0.1, timeout_s=0.6)
    assert not is_alive(int((tmp_path / "pid").read_text()))


def test_ctrl_c_leaves_no_program_behind_not_even_a_dead_one(tmp_path: Path) -> None:
    """Only this process gets the signal, as from another terminal."""
    pid = tmp_path / "pid"

    def interrupt() -> None:
        deadline = time.monotonic() + 20
        while not (pid.exists() and pid.read_text()) and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    person = threading.Thread(target=interrupt)
    person.start()
    with pytest.raises(KeyboardInterrupt):
        SubprocessRunner(tmp_path).run(python(STAYS))
    person.join()
    assert not is_alive(int(pid.read_text()))


def test_a_program_that_is_not_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="no-such-program was not found"):
        SubprocessRunner(tmp_path).watched(["no-such-program"], lambda _said: None)


def test_a_program_that_this_user_may_not_run_is_named_with_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "closed-program"
    program.write_text("#!/bin/sh\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    runner = SubprocessRunner(tmp_path)
    for run in (runner.run, runner.stream):
        with pytest.raises(StackError, match=f"may not run {program}"):
            run(["closed-program"])


def test_a_script_among_the_words_of_a_command_is_cut_short() -> None:
    sql = "select 1 from observations\n" * 100
    text = command_text(["docker", "exec", "sh", "-c", sql])
    assert text.startswith("docker exec sh -c select 1 from observations select 1")
    assert text.endswith("...")
    assert len(text) < 130
    assert command_text(["docker", "compose", "ps"]) == "docker compose ps"
