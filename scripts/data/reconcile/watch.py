"""Reconcile again and again, without anyone who asks for it: what the exporter does in a compose stack.

What is missing may be on its way: in a queue, or in the memory of a worker that waits for ClickHouse. It
counts as lost only when a canary that was sent later has been read back since: jobs are taken in their order,
and an insert that succeeds has all rows of its table in it. What is lost is replayed: first with others, then
in small lots, then alone. What is not stored then is refused by the worker or by ClickHouse: it is set aside,
named, and not replayed again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from scripts.core.errors import StackError
from scripts.stores.event_batches import SpanId

from .findings import Findings

log = logging.getLogger("exporter")

GRACE = timedelta(minutes=2)
"""What is younger may still be on its way."""
FIRST_LOOK = timedelta(hours=3)
"""How far back the first look goes: longer than the worker repeats an insert."""
LOTS = (200, 10, 1)
"""Batches that are replayed at once, by attempt. What is missing after the last one is set aside."""


class Reconciles(Protocol):
    """What of `Reconciler` is needed."""

    def projects(self) -> list[str]:
        """Return the projects."""

    def find(self, project: str, since: datetime | None, until: datetime) -> Findings:
        """Return what of a project's batches between two moments is missing."""

    def find_among(self, project: str, keys: Iterable[str]) -> Findings:
        """Return what of these batches is missing."""

    def replay(self, findings: Findings, keys: Iterable[str] | None = None, lot: int | None = None) -> None:
        """Replay batches."""


@dataclass(slots=True)
class Suspect:
    """A batch with missing spans.

    Attributes:
        since: when it was noticed, in seconds since 1970.
        spans: the missing ones.
        attempts: how many replays there were.
    """

    project: str
    since: float
    spans: list[SpanId] = field(default_factory=list)
    attempts: int = 0

    @property
    def is_refused(self) -> bool:
        """Whether it is set aside."""
        return self.attempts >= len(LOTS)


@dataclass(slots=True)
class Watch:
    """Remembers up to where everything was looked at, and what was missing. `run` may raise StackError.

    Attributes:
        last_canary: when the last canary was read back, in seconds since 1970; None without canaries: then
            the time between two runs has to do.
        replayed: spans that were brought back since the start.
    """

    reconciler: Reconciles
    last_canary: Callable[[], float | None]
    clock: Callable[[], float] = time.time
    replayed: int = 0
    suspects: dict[str, Suspect] = field(default_factory=dict)
    _looked: dict[str, datetime] = field(default_factory=dict)

    def run(self) -> None:
        """Look at what came in since the last time, and replay what is lost.

        Raises:
            StackError: a store or the server fails. What was not looked at is looked at the next time.
        """
        for project in self.reconciler.projects():
            self._replay_lost(project)
            self._look(project)

    def refused(self) -> Iterator[tuple[str, Suspect]]:
        """Yield the batches that are set aside, with their keys."""
        return ((key, one) for key, one in self.suspects.items() if one.is_refused)

    def missing(self) -> int:
        """Return how many spans are missing, set aside or not."""
        return sum(len(one.spans) for one in self.suspects.values())

    def _look(self, project: str) -> None:
        now = datetime.fromtimestamp(self.clock(), UTC)
        until = now - GRACE
        found = self.reconciler.find(project, self._looked.get(project, now - FIRST_LOOK), until)
        for key, spans in found.spans_missing.items():
            self.suspects.setdefault(key, Suspect(project, self.clock(), spans))
        # Folders are minutes: the last one is looked at again, as it may have been half full.
        self._looked[project] = until - timedelta(minutes=1)

    def _replay_lost(self, project: str) -> None:
        mine = {key: one for key, one in self.suspects.items() if one.project == project}
        found = self._spans_of(project, list(mine))
        for key in mine:
            if key not in found:
                # Stored, deleted, or expired meanwhile.
                del self.suspects[key]
        due = [key for key in found if not mine[key].is_refused and self._is_lost(mine[key])]
        for attempt, lot in enumerate(LOTS):
            keys = [key for key in due if mine[key].attempts == attempt and key in self.suspects]
            if keys:
                self._replay(project, keys, lot)

    def _replay(self, project: str, keys: list[str], lot: int) -> None:
        findings = self.reconciler.find_among(project, keys)
        wanted = sum(findings.missing.values())
        for key in keys:
            self.suspects[key].attempts += 1
        log.warning("reconcile: %d spans of %s are lost: replaying %d batches", wanted, project, len(keys))
        self.reconciler.replay(findings, lot=lot)
        back = wanted - sum(map(len, findings.refused.values()))
        self.replayed += back
        for key in keys:
            if key in findings.refused:
                self.suspects[key].spans = findings.refused[key]
            else:
                del self.suspects[key]
        log.warning("reconcile: %d of %d spans of %s are back", back, wanted, project)
        for key, one in self.suspects.items():
            if key in keys and one.is_refused:
                ids = ", ".join(f"{span.trace}/{span.span}" for span in one.spans[:5])
                log.error("reconcile: set aside, as it is refused each time: %s: %s", key, ids)

    def _spans_of(self, project: str, keys: list[str]) -> dict[str, list[SpanId]]:
        """Return the missing spans of batches that still lack some."""
        if not keys:
            return {}
        found = self.reconciler.find_among(project, keys)
        return found.spans_missing

    def _is_lost(self, one: Suspect) -> bool:
        canary = self.last_canary()
        if canary is None:
            return True
        return canary > one.since


def try_run(watch: Watch) -> str:
    """Run once; return why it failed, or an empty text."""
    try:
        watch.run()
    except StackError as error:
        return error.message
    return ""
