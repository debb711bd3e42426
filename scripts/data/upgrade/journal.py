"""The last upgrade, on disk before anything is done: it goes on, or back, whenever the process ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from scripts.core.journal import Journal
from scripts.core.layout import Layout
from scripts.engines.base import EngineName

from .steps import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One upgrade.

    Attributes:
        old, new: versions; of the embedded engine, the schemas of its databases.
        step: the one that was begun last.
        done: whether it got to its end. Then it can still be rolled back.
        going_back: whether a rollback has begun.
        snapshot: id of the backup that it made, or empty.
        began: when that backup was begun, ISO 8601, or empty.
        levels: of the migrations before.
    """

    engine: EngineName
    old: str
    new: str
    step: Step
    done: bool = False
    going_back: bool = False
    snapshot: str = ""
    began: str = ""
    levels: dict[str, Any] = field(default_factory=dict)

    @property
    def open(self) -> bool:
        """Whether it was interrupted, forth or back."""
        return self.going_back or not self.done


def journal_of(layout: Layout) -> Journal[Entry]:
    """Return the journal of a stack."""
    fix = "see `make status` and `make backups`, then delete the file."
    return Journal(layout.stack_dir / "upgrade.json", Entry, fix)
