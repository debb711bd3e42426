"""The mark of a stack that is moved elsewhere: it takes spans, changes nothing, and is not started again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from scripts.core.errors import UsageError
from scripts.core.journal import Journal
from scripts.core.layout import Layout


class Phase(StrEnum):
    """How far the move is, seen from the stack that is left."""

    PAUSED = "paused"
    TAKEN = "taken"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class Moved:
    """A stack that is left.

    Attributes:
        to: the checkout, or the directory, that it goes to.
        option: the option of `make move` that names it: TO or INTO.
        since: when its worker was stopped, ISO 8601 in UTC.
        phase: one of Phase.
    """

    to: str
    option: str
    since: str
    phase: str = Phase.PAUSED

    @property
    def began(self) -> datetime:
        """The moment since which spans are kept for the new stack."""
        return datetime.fromisoformat(self.since)

    @property
    def command(self) -> str:
        """The command that goes on with the move."""
        return f"make move {self.option}={self.to}"

    def text(self) -> str:
        """Say it for people."""
        if self.phase == Phase.PAUSED:
            return f"paused since {self.since} for a move to {self.to}: changes are refused, spans are kept"
        if self.phase == Phase.FINISHED:
            return f"moved to {self.to}, and was stopped"
        return f"moved to {self.to}; what still arrives here is brought there by {self.command} FINISH=1"


def begin_move(layout: Layout, to: str, option: str) -> Moved:
    """Leave the mark before anything is stopped; one that is there keeps its moment."""
    known = read_moved(layout)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return _mark(layout).save(replace(known, to=to, option=option) if known else Moved(to, option, now))


def note_phase(layout: Layout, moved: Moved, phase: Phase) -> Moved:
    """Write how far the move is; return the mark."""
    return _mark(layout).save(replace(moved, phase=phase))


def end_move(layout: Layout) -> None:
    """Remove the mark: this stack works."""
    _mark(layout).forget()


def read_moved(layout: Layout) -> Moved | None:
    """Return the mark, or None where this stack is not moved."""
    try:
        return _mark(layout).read()
    except UsageError:  # it may not start all the same
        return Moved("an unknown place", "TO", "1970-01-01T00:00:00+00:00")


def _mark(layout: Layout) -> Journal[Moved]:
    return Journal(layout.moved_file, Moved, "make move ... UNDO=1 gives this stack its place back.")
