"""Know when an import sent its last: what a server has accepted cannot be read for some seconds.

An import that is repeated at once would ask, not find it, and send it again. So the moment of the last
sending is written beside the export, and the next import into the same project waits until it is long ago.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

SETTLED_S = 60.0
"""After how many seconds what was accepted can be read, as far as it ever will."""


@dataclass(frozen=True, slots=True)
class Journal:
    """The mark of one export and one project. Where it cannot be written nothing is remembered."""

    path: Path
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep

    @staticmethod
    def of(source: Path, base_url: str, project: str) -> Journal:
        """Return the journal of an export and the project that it goes into."""
        name = hashlib.sha256(f"{base_url}\0{project}".encode()).hexdigest()[:16]
        return Journal(source / f".importing-{name}")

    def note_sent(self) -> None:
        """Note that something was sent now."""
        with suppress(OSError):
            self.path.touch()

    def unsettled_s(self) -> float:
        """Return for how many seconds what an earlier run sent may still be on its way."""
        try:
            age = self.now() - self.path.stat().st_mtime
        except OSError:
            return 0
        return min(max(0.0, SETTLED_S - age), SETTLED_S)

    def settle(self) -> None:
        """Wait for that long."""
        self.sleep(self.unsettled_s())

    def close(self) -> None:
        """Forget it: all that was sent can be read."""
        with suppress(OSError):
            self.path.unlink()
