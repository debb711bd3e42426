"""Which prompt version a generation used: looked up in `state.db`, remembered until that changes."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from langfuse_embedded.otlp.event import Event
from langfuse_embedded.store.database import open_database

_MAX_REMEMBERED = 10_000


class PromptIds:
    """Ids of prompt versions. Opens `state.db` with the first question, and only ever reads it."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "state.db"
        self._db: sqlite3.Connection | None = None
        self._version = 0
        self._known: dict[tuple[str, str, int], str] = {}

    def id_of(self, project_id: str, event: Event) -> str:
        """Return the id of the prompt version that the event names; empty when there is none."""
        if not event.prompt_name or event.prompt_version is None:
            return ""
        if self._db is None:
            self._db = open_database(self._path, readonly=True)
        version = self._db.execute("pragma data_version").fetchone()[0]
        if version != self._version or len(self._known) > _MAX_REMEMBERED:
            self._known.clear()
            self._version = version
        key = (project_id, event.prompt_name, event.prompt_version)
        if key not in self._known:
            row = self._db.execute(
                "select id from prompts where project_id = ? and name = ? and version = ?", key
            ).fetchone()
            self._known[key] = row[0] if row else ""
        return self._known[key]

    def close(self) -> None:
        """Close the file, if it was opened."""
        if self._db is not None:
            self._db.close()
