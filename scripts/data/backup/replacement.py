"""Put new files in the place of old ones so that every crash can be undone.

The old files stay in a directory beside the journal until the new ones have proven themselves: `commit`
removes them, `undo` brings them back. The journal is written before anything moves, and every move is one
rename.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.core.journal import Journal


@dataclass(frozen=True, slots=True)
class Move:
    """One place: what comes, where it goes, where the old one waits, and whether there was an old one."""

    incoming: Path
    place: Path
    old: Path
    was_there: bool


@dataclass(frozen=True, slots=True)
class Replacement:
    """Files that take the place of others. `directory` holds the journal and the old files."""

    directory: Path
    moves: tuple[Move, ...]

    @staticmethod
    def plan(directory: Path, wanted: Sequence[tuple[Path, Path]]) -> Replacement:
        """Return the moves that put each incoming path in its place. All are on one file system.

        Where nothing comes the place is empty afterwards.
        """
        moves = tuple(
            Move(incoming, place, directory / f"old-{number}", place.exists())
            for number, (incoming, place) in enumerate(wanted)
        )
        return Replacement(directory, moves)

    @staticmethod
    def unfinished(directory: Path) -> Replacement | None:
        """Return the replacement that a crash has left open, or None."""
        moves = _journal(directory).read()
        return None if moves is None else Replacement(directory, moves)

    def begin(self) -> None:
        """Move the old files away and the new ones in."""
        _journal(self.directory).save(self.moves)
        for move in self.moves:
            if move.was_there:
                move.place.rename(move.old)
            move.place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if move.incoming.exists():
                move.incoming.rename(move.place)

    def undo(self) -> None:
        """Bring everything back to how it was before `begin`, however far that came. May be repeated."""
        for move in reversed(self.moves):
            arrived = not move.incoming.exists()
            if move.old.exists() or (arrived and not move.was_there):
                _remove(move.place)
            if move.old.exists():
                move.old.rename(move.place)
        _journal(self.directory).forget()

    def commit(self) -> None:
        """Remove the old files; from here on there is no way back."""
        _journal(self.directory).forget()
        for move in self.moves:
            _remove(move.old)


def _journal(directory: Path) -> Journal[tuple[Move, ...]]:
    fix = "what was there before is beside it, as old-0 and so on: put it back by hand, then delete the file."
    return Journal(directory / "journal.json", tuple[Move, ...], fix)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
