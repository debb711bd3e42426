"""The mark of a stack that is moved elsewhere: it takes spans, changes nothing, and is not started again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from scripts.core.layout import Layout, write_private


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
    moved = replace(known, to=to, option=option) if known else Moved(to, option, now)
    _write(layout, moved)
    return moved


def note_phase(layout: Layout, moved: Moved, phase: Phase) -> Moved:
    """Write how far the move is; return the mark."""
    changed = replace(moved, phase=phase)
    _write(layout, changed)
    return changed


def end_move(layout: Layout) -> None:
    """Remove the mark: this stack works."""
    layout.moved_file.unlink(missing_ok=True)


def read_moved(layout: Layout) -> Moved | None:
    """Return the mark, or None where this stack is not moved."""
    try:
        return Moved(**json.loads(layout.moved_file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        return Moved("an unknown place", "TO", "1970-01-01T00:00:00+00:00")


def _write(layout: Layout, moved: Moved) -> None:
    write_private(layout.moved_file, json.dumps(asdict(moved), indent=1) + "\n")
