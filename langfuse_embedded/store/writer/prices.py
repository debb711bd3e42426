"""Prices for the writer: the price book over the models in `state.db`."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from langfuse_embedded.otlp.event import Event
from langfuse_embedded.pricing.book import PriceBook, Priced
from langfuse_embedded.store.database import open_database
from langfuse_embedded.store.models import Models

_UNPRICED = Priced()


class Prices:
    """Prices events. Opens `state.db` with the first event that has a model or a cost, and only ever reads it.

    Models that were changed before a group of requests began are seen by the group.
    """

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "state.db"
        self._db: sqlite3.Connection | None = None
        self._book: PriceBook | None = None
        self._fresh = False

    def begin(self) -> None:
        """Start a group: look for changed models before its first price."""
        self._fresh = False

    def of(self, project_id: str, event: Event) -> Priced:
        """Return model, pricing tier and cost of an event."""
        if not event.model_name and not event.cost:
            return _UNPRICED
        book = self._book
        if book is None:
            self._db = open_database(self._path, readonly=True)
            book = self._book = PriceBook(Models(self._db))
        if not self._fresh:
            book.refresh()
            self._fresh = True
        return book.price(project_id, event)

    def close(self) -> None:
        """Close the file, if it was opened."""
        if self._db is not None:
            self._db.close()
