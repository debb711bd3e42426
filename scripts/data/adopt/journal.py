"""What was done to an old stack, so that it can be started again, whenever this process ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scripts.core.journal import Journal
from scripts.core.layout import Layout


@dataclass(frozen=True, slots=True)
class Entry:
    """One adoption.

    Attributes:
        directory, project: of the old stack.
        policies: by container, with which policy Docker starts it again.
        backup: the id of the set that was made of it, or empty.
        done: whether this stack has taken over.
    """

    directory: str
    project: str
    policies: Mapping[str, str]
    backup: str = ""
    done: bool = False


def journal_of(layout: Layout) -> Journal[Entry]:
    """Return the journal of a stack."""
    fix = "start the old stack by hand: docker compose up -d in its directory; then delete that file."
    return Journal(layout.stack_dir / "adopt.json", Entry, fix)
