"""What an event needs from `state.db` before it is stored: the id of its prompt, and its price."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from langfuse_embedded.otlp.event import Event
from langfuse_embedded.pricing.book import PriceBook, Priced
from langfuse_embedded.pricing.cpu_budget import CpuBudget
from langfuse_embedded.store.database import open_database
from langfuse_embedded.store.models import Models

_MAX_REMEMBERED = 10_000
_UNKNOWN = -1


class StateLookups:
    """Reads `state.db`, which the server process writes; remembers what it found until the file changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db = open_database(path, readonly=True)
        self._abandoned: list[sqlite3.Connection] = []
        self._prices = PriceBook(Models(self._db))
        self._version = _UNKNOWN
        self._prompt_ids: dict[tuple[str, str, int], str] = {}

    def reopen(self) -> None:
        """Read through another connection, in a process that was forked: SQLite allows no other use there.

        What is known of prices stays. The former connection is not even closed: it is the parent's.
        """
        self._abandoned.append(self._db)
        self._db = open_database(self._path, readonly=True)
        self._prices.read_from(Models(self._db))
        # Versions of two connections say nothing of each other.
        self._version = _UNKNOWN

    def refresh(self, budget: float | None = None) -> None:
        """Forget what may be outdated. Call it once for each batch of events.

        `budget` is how many seconds of a processor pricing the batch may take (``None``: any), before
        `price` raises `BudgetSpent`.
        """
        self._prices.budget = None if budget is None else CpuBudget(budget)
        version = self._db.execute("pragma data_version").fetchone()[0]
        if version != self._version:
            self._version = version
            self._prices.refresh()
            self._prompt_ids.clear()
        elif len(self._prompt_ids) > _MAX_REMEMBERED:
            self._prompt_ids.clear()

    def price(self, project_id: str, event: Event) -> Priced:
        """Return model, tier and cost of an event."""
        return self._prices.price(project_id, event)

    def prompt_id(self, project_id: str, event: Event) -> str:
        """Return the id of the prompt version that the event names; empty when there is none."""
        if not event.prompt_name or event.prompt_version is None:
            return ""
        key = (project_id, event.prompt_name, event.prompt_version)
        known = self._prompt_ids.get(key)
        if known is None:
            row = self._db.execute(
                "select id from prompts where project_id = ? and name = ? and version = ?", key
            ).fetchone()
            known = self._prompt_ids[key] = row[0] if row else ""
        return known

    def close(self) -> None:
        """Close the file."""
        self._db.close()
