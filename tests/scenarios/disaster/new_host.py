"""A new host for the price of a process: a Docker engine without an image, in a network without a way out."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scripts.core.waiting import Look, tail, wait_until

START_TIMEOUT_S = 60.0
ANSWER_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 90.0
# A network of its own has a loopback, which is down, and nothing else. The engine ends with its test.
ISOLATED = (
    "unshare",
    "--net",
    "setpriv",
    "--pdeathsig",
    "TERM",
    "sh",
    "-euc",
    'ip link set lo up; exec "$@"',
)


@dataclass(frozen=True, slots=True)
class NewHost:
    """What commands are run with to happen on that host.

    Attributes:
        within: the beginning of a command that sees its network only.
        docker: URL of its engine.
    """

    within: tuple[str, ...]
    docker: str


def lacking() -> str:
    """Return why this machine cannot be one, or an empty string."""
    programs = ("dockerd", "ip", "nsenter", "setpriv", "unshare")
    absent = [name for name in programs if shutil.which(name) is None]
    if absent:
        return f"not installed: {', '.join(absent)}"
    return "" if os.geteuid() == 0 else "a second Docker engine and network need root"


@contextmanager
def new_host() -> Iterator[NewHost]:
    """Start one; end it with all that it holds.

    Raises:
        EngineError: its engine does not get ready.
    """
    # Not in memory: images and volumes take gigabytes. A short path: that of a socket ends at 107 bytes.
    home = Path(tempfile.mkdtemp(prefix="new-host-", dir="/var/tmp"))
    try:
        with _engine(home) as process:
            yield NewHost(("nsenter", f"--net=/proc/{process.pid}/ns/net"), _url(home))
    finally:
        shutil.rmtree(home)


@contextmanager
def _engine(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    log = home / "dockerd.log"
    argv = [
        *ISOLATED, "sh",
        "dockerd", "--host", _url(home), "--pidfile", str(home / "pid"), "--data-root", str(home / "data"),
        "--exec-root", str(home / "run"), "--log-level", "warn",
    ]  # fmt: skip
    with log.open("w") as output:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        wait_until(
            lambda: _look(process, home),
            what="The Docker engine of the new host does not get ready",
            timeout_s=START_TIMEOUT_S,
            last_lines=lambda: tail(log.read_text(errors="replace")),
            fix="correct what the log says.",
            interval_s=0.2,
        )
        yield process
    finally:
        # It stops its containers first.
        process.terminate()
        process.wait(STOP_TIMEOUT_S)


def _look(process: subprocess.Popen[bytes], home: Path) -> Look:
    if process.poll() is not None:
        return Look(done=False, state="ended", dead=f"dockerd ended with {process.returncode}")
    argv = ["docker", "--host", _url(home), "version", "--format", "{{.Server.Version}}"]
    asked = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=ANSWER_TIMEOUT_S)
    return Look(done=asked.returncode == 0, state=asked.stderr.strip())


def _url(home: Path) -> str:
    return f"unix://{home}/docker.sock"
