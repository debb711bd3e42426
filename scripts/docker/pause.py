"""The mark of a command that has paused the worker: who starts it again when that command is killed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime

from scripts.core.errors import UsageError
from scripts.core.journal import Journal
from scripts.core.layout import Layout


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
    _mark(layout).save(Rest(os.getpid(), datetime.now(UTC).isoformat(timespec="seconds")))


def end_rest(layout: Layout) -> None:
    """Remove the mark, if there is one: the worker works."""
    _mark(layout).forget()


def read_rest(layout: Layout) -> Rest | None:
    """Return the mark, or None where the worker was not stopped. What cannot be read is of nobody."""
    try:
        return _mark(layout).read()
    except UsageError:
        return Rest(process=2**31 - 1, since="an unknown time")


def _mark(layout: Layout) -> Journal[Rest]:
    return Journal(layout.resting_worker_file, Rest, "make up starts the worker.")
