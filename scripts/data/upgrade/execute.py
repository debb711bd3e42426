"""Do the steps of an upgrade with a journal; when one fails, go all the way back."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

from scripts.core.errors import StackError
from scripts.core.layout import Layout

from .journal import Entry, journal_of
from .steps import STEPS, Step, Undo, way_back

Say = Callable[[str], None]


class Hands(Protocol):
    """What does the steps; one for each engine. Every method may be repeated, and raises StackError."""

    def do(self, step: Step, entry: Entry) -> Entry:
        """Do a step; return the entry with what became known."""

    def undo(self, undo: Undo, entry: Entry) -> Entry:
        """Do a step of the way back; return the entry with what became known."""


class RolledBack(StackError):
    """The upgrade failed; the former version runs, with its data."""


def upgrade(layout: Layout, entry: Entry, hands: Hands, say: Say) -> Mapping[Step, float]:
    """Do all steps from the one of the entry on; return how many seconds each took.

    Only a process that ends in between leaves the journal open: everything that fails is rolled back here.

    Raises:
        RolledBack: a step failed, and all is as it was before.
        StackError: a step failed, and so did the way back; the journal is kept.
    """
    journal, order = journal_of(layout), STEPS[entry.engine]
    seconds: dict[Step, float] = {}
    for number in range(order.index(entry.step), len(order)):
        step = order[number]
        entry = journal.save(replace(entry, step=step))
        say(f"[{number + 1}/{len(order)}] {step[0].upper()}{step[1:]}")
        began = time.monotonic()
        try:
            # What a step has learned is kept before it counts as done.
            entry = journal.save(hands.do(step, entry))
        except Exception as error:  # noqa: BLE001 - whatever it is: a half upgraded stack helps nobody
            _give_up(layout, entry, hands, say, error)
        seconds[step] = time.monotonic() - began
    journal.save(replace(entry, done=True))
    return seconds


def roll_back(layout: Layout, entry: Entry, hands: Hands, say: Say) -> Entry:
    """Undo an upgrade, finished or not; return what became known. The journal is gone at the end.

    Raises:
        StackError: that failed; the journal is kept, and a repeated call goes on.
    """
    journal = journal_of(layout)
    entry = journal.save(replace(entry, going_back=True))
    undos = way_back(entry.engine, entry.step)
    for number, undo in enumerate(undos, start=1):
        say(f"[back {number}/{len(undos)}] {undo[0].upper()}{undo[1:]}")
        entry = journal.save(hands.undo(undo, entry))
    journal.forget()
    return entry


def _give_up(layout: Layout, entry: Entry, hands: Hands, say: Say, error: Exception) -> None:
    reason, details, fix = _explained(error)
    say(f"That failed: {reason} Going back to {entry.old}.")
    try:
        roll_back(layout, entry, hands, say)
    except Exception as second:  # noqa: BLE001 - both are told
        why, more, _ = _explained(second)
        raise StackError(
            f"The upgrade to {entry.new} failed ({reason}), and so did the way back: {why}",
            details=(*details, *more),
            fix="correct what the lines name, then: make rollback"
            + (f" (backup {entry.snapshot[:8]})." if entry.snapshot else "."),
        ) from error
    raise RolledBack(
        f"Not upgraded to {entry.new}: {reason} {entry.old} is back, with its data.",
        details=details,
        fix=fix,
    ) from error


def _explained(error: Exception) -> tuple[str, tuple[str, ...], str]:
    if isinstance(error, StackError):
        return error.message, error.details, error.fix
    return f"{type(error).__name__}: {error}.", (), "report this with `make support-bundle`."
