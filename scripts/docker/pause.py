"""The mark of a command that has paused the worker: who starts it again when that command is killed."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from scripts.core.layout import Layout, write_private


@dataclass(frozen=True, slots=True)
class Rest:
    """A worker that rests.

    Attributes:
        process: the command that has stopped it, and starts it again.
        since: when, ISO 8601 in UTC.
    """

    process: int
    since: str

    @property
    def abandoned(self) -> bool:
        """Whether that command is gone: nobody but a later one starts the worker."""
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return True
        except PermissionError:  # it is someone else's, and there
            return False
        return False

    def text(self) -> str:
        """Say it for people."""
        if self.abandoned:
            return f"a command that was killed has stopped langfuse-worker at {self.since}: make up starts it"
        return f"langfuse-worker is paused by a backup (process {self.process}, since {self.since})"


def begin_rest(layout: Layout) -> None:
    """Leave the mark. The worker is stopped after that, not before."""
    rest = Rest(os.getpid(), datetime.now(UTC).isoformat(timespec="seconds"))
    write_private(layout.resting_worker_file, json.dumps(asdict(rest)) + "\n")


def end_rest(layout: Layout) -> None:
    """Remove the mark, if there is one: the worker works."""
    layout.resting_worker_file.unlink(missing_ok=True)


def read_rest(layout: Layout) -> Rest | None:
    """Return the mark, or None where the worker was not stopped. What cannot be read is of nobody."""
    try:
        return Rest(**json.loads(layout.resting_worker_file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        return Rest(process=2**31 - 1, since="an unknown time")
