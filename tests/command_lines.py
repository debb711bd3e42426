"""Watch the command lines of this machine: every user of a host sees them, so that no secret may be in one.

Two ways, as each misses something. A separate process reads /proc again and again: it sees the programs of
shells and containers, but not surely one that ends within a millisecond. A hook of Python's notes what each
Python program starts: it misses nothing, but knows of Python only.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

PERIOD_S = 0.001
# A process of that many rounds gets another command line by exec seldom: it is read each so many rounds.
YOUNG_ROUNDS, OLD_EVERY = 200, 50
STARTS_WITHIN_S = 30.0
HOOK = """\
import os
import sys

_EVENTS = {"subprocess.Popen": 1, "os.exec": 1, "os.posix_spawn": 1, "os.spawn": 2, "os.system": 0}


def _note(event, arguments):
    if event in _EVENTS:
        given = arguments[_EVENTS[event]]
        words = given if isinstance(given, (list, tuple)) else [given]
        line = b" ".join(os.fsencode(word) for word in words).replace(b"\\n", b" ")
        # One call of write: lines of several processes do not mix.
        file = os.open(os.environ["COMMAND_LINES_FILE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, line + b"\\n")
        finally:
            os.close(file)


sys.addaudithook(_note)
"""


class CommandLines:
    """Collects command lines while it is open.

    Attributes:
        environment: what programs need so that Python's hook is in them.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True)
        (directory / "sitecustomize.py").write_text(HOOK, encoding="utf-8")
        self._hooked, self._sampled = directory / "hooked", directory / "sampled"
        self.environment: Mapping[str, str] = {
            "PYTHONPATH": str(directory),
            "COMMAND_LINES_FILE": str(self._hooked),
        }

    def __enter__(self) -> CommandLines:
        self._watcher = subprocess.Popen([sys.executable, __file__, str(self._sampled)])
        deadline = time.monotonic() + STARTS_WITHIN_S
        while not self.sampled():
            assert time.monotonic() < deadline, "the watcher has seen nothing"
            time.sleep(0.01)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._watcher.kill()
        self._watcher.wait()

    def hooked(self) -> set[str]:
        """Return what Python programs have started."""
        return _lines(self._hooked)

    def sampled(self) -> set[str]:
        """Return what was seen in /proc."""
        return _lines(self._sampled)

    def seen(self) -> set[str]:
        """Return all command lines, with blanks between the arguments."""
        return self.hooked() | self.sampled()


def _lines(path: Path) -> set[str]:
    return set(path.read_text(encoding="utf-8", errors="replace").splitlines()) if path.exists() else set()


def watch(target: Path) -> None:
    """Write each command line of the machine once, until killed."""
    written: set[bytes] = set()
    first_seen: dict[str, int] = {}
    rounds = 0
    with target.open("wb", buffering=0) as file:
        while True:
            there = [name for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - a third of the time
            first_seen = {name: first_seen.get(name, rounds) for name in there}
            for name, since in first_seen.items():
                if rounds - since > YOUNG_ROUNDS and rounds % OLD_EVERY:
                    continue
                try:
                    with open(f"/proc/{name}/cmdline", "rb") as text:  # noqa: PTH123 - as above
                        line = text.read()
                except OSError:  # it has ended
                    continue
                if line not in written:
                    written.add(line)
                    file.write(line.strip(b"\0").replace(b"\n", b" ").replace(b"\0", b" ") + b"\n")
            rounds += 1
            time.sleep(PERIOD_S)


if __name__ == "__main__":
    watch(Path(sys.argv[1]))
