"""The last rotation: kept until the next one, so that it can go on after a crash, or be undone."""

from __future__ import annotations

from dataclasses import dataclass

from scripts.core.journal import Journal
from scripts.core.layout import Layout

from .plan import Change


@dataclass(frozen=True, slots=True)
class Entry:
    """One rotation.

    Attributes:
        done: whether it got to its end; else it was interrupted.
    """

    secret: str
    changes: tuple[Change, ...]
    done: bool


def journal_of(layout: Layout) -> Journal[Entry]:
    """Return the journal of a stack; it contains the former and the new secret."""
    fix = "make doctor says whether the secrets of .env work; keep what can be read of it, then delete it."
    return Journal(layout.stack_dir / "rotation.json", Entry, fix)
