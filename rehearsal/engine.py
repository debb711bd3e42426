"""A Docker engine for the rehearsal: the one that answers, else one of our own with a cache of its images."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from scripts.core.errors import EngineError, UsageError
from scripts.core.runner import Runner
from scripts.core.waiting import Look, tail, wait_until
from scripts.docker.availability import find_engine

from .leftovers import remove_leftovers

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 60.0
# Its network for containers that name none, which dockerd makes and leaves.
BRIDGE = "docker0"


def cache_directory(environment: Mapping[str, str]) -> Path:
    """Return where an engine of our own keeps its images for the next rehearsal, outside of the checkout."""
    caches = environment.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches) / "langfuse-stack" / "rehearsal"


@contextmanager
def docker_engine(runner: Runner, cache: Path) -> Iterator[str]:
    """Yield in a few words which engine is used. One that is started here ends; its images stay in `cache`.

    Raises:
        UsageError: no engine answers, and this user may not start one.
        EngineError: it was started and does not get ready, or another rehearsal uses the cache.
    """
    finding = find_engine(runner)
    if finding.usable:
        yield finding.reason
        return
    # With DOCKER_HOST, commands would go to another engine than the one that is started here.
    if "DOCKER_HOST" in os.environ or shutil.which("dockerd") is None or os.geteuid() != 0:
        raise UsageError(
            f"The rehearsal needs Docker, and {finding.reason}.", fix="start Docker, then repeat."
        )
    with _only_one(cache), _own_engine(cache, runner):
        # Of a rehearsal that was killed, with its engine.
        remove_leftovers("")
        yield f"an engine of its own, with its images in {cache}"
        # Those that were built anew have taken the names of these.
        runner.run(["docker", "image", "prune", "--force"])


@contextmanager
def _only_one(cache: Path) -> Iterator[None]:
    """Hold the cache for this process: two engines on the same data would destroy it."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise EngineError(
                f"Another rehearsal uses {cache}.", fix="wait for its end, then repeat."
            ) from error
        yield


@contextmanager
def _own_engine(cache: Path, runner: Runner) -> Iterator[None]:
    log, pid = cache / "dockerd.log", cache / "pid"
    # Of an engine that was killed: its number may be another process's by now, and the lock is ours.
    pid.unlink(missing_ok=True)
    argv = [
        "dockerd",
        "--pidfile",
        str(pid),
        "--data-root",
        str(cache / "data"),
        "--log-level",
        "warn",
    ]
    had_bridge = _has_bridge()
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
        if _has_bridge() and not had_bridge:
            runner.run(["ip", "link", "delete", BRIDGE])


def _has_bridge() -> bool:
    return Path("/sys/class/net", BRIDGE).exists()


def _look(process: subprocess.Popen[bytes], runner: Runner) -> Look:
    if process.poll() is not None:
        return Look(done=False, state="ended", dead=f"dockerd ended with {process.returncode}")
    finding = find_engine(runner)
    return Look(done=finding.usable, state=finding.reason)
