"""A Docker engine for the rehearsal: the one that answers, else one of our own that ends with us."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.core.docker import find_engine
from scripts.core.errors import EngineError, UsageError
from scripts.core.runner import Runner
from scripts.core.waiting import Look, tail, wait_until

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 60.0


@contextmanager
def docker_engine(runner: Runner) -> Iterator[str]:
    """Yield in a few words which engine is used. One that is started here is stopped, and its data deleted.

    Raises:
        UsageError: no engine answers, and this user may not start one.
        EngineError: it was started and does not get ready.
    """
    finding = find_engine(runner)
    if finding.usable:
        yield finding.reason
        return
    if shutil.which("dockerd") is None or os.geteuid() != 0:
        raise UsageError(
            f"The rehearsal needs Docker, and {finding.reason}.", fix="start Docker, then repeat."
        )
    # Not in memory: images and volumes take gigabytes.
    home = Path(tempfile.mkdtemp(prefix="rehearsal-docker-", dir="/var/tmp"))
    try:
        with _own_engine(home, runner):
            yield f"an engine of its own, with its data in {home}"
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _own_engine(home: Path, runner: Runner) -> Iterator[None]:
    log = home / "dockerd.log"
    argv = [
        "dockerd",
        "--pidfile",
        str(home / "pid"),
        "--data-root",
        str(home / "data"),
        "--log-level",
        "warn",
    ]
    with log.open("w") as output:
        # A session of its own: Ctrl-C is for us, who still need the engine to clean up.
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        wait_until(
            lambda: _look(process, runner),
            what="The Docker engine does not get ready",
            timeout_s=START_TIMEOUT_S,
            last_lines=lambda: tail(log.read_text(errors="replace")),
            fix="correct what the log says, or start Docker yourself.",
            interval_s=0.2,
        )
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise EngineError(f"The Docker engine (process {process.pid}) does not end.") from error


def _look(process: subprocess.Popen[bytes], runner: Runner) -> Look:
    if process.poll() is not None:
        return Look(done=False, state="ended", dead=f"dockerd ended with {process.returncode}")
    finding = find_engine(runner)
    return Look(done=finding.usable, state=finding.reason)
