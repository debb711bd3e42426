"""Dashboards and widgets in `state.db`: documents with an id and times, one table each."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any, Literal

from langfuse_embedded import ids
from langfuse_embedded.clock import now_ms

from .documents import dump, load
from .state import StateStore


@dataclass(frozen=True, slots=True)
class Document:
    """A stored dashboard or widget: `body` is everything but id and times (Unix milliseconds)."""

    id: str
    body: dict[str, Any]
    created_at: int
    updated_at: int


class DocumentStore:
    """Reads and writes one kind of document. Writing methods run inside the caller's transaction."""

    def __init__(self, state: StateStore, table: Literal["dashboards", "dashboard_widgets"]) -> None:
        self._db, self._table = state.db, table

    def create(self, project_id: str, body: dict[str, Any]) -> Document:
        """Store a new document."""
        now = now_ms()
        document = Document(ids.cuid(), body, now, now)
        self._db.execute(
            f"insert into {self._table} (id, project_id, body, created_at, updated_at)"
            " values (?, ?, ?, ?, ?)",
            (document.id, project_id, dump(body), now, now),
        )
        return document

    def update(self, document: Document, body: dict[str, Any]) -> Document:
        """Replace the body of a document."""
        now = now_ms()
        self._db.execute(
            f"update {self._table} set body = ?, updated_at = ? where id = ?", (dump(body), now, document.id)
        )
        return Document(document.id, body, document.created_at, now)

    def get(self, project_id: str, document_id: str) -> Document | None:
        """Return one document."""
        row = self._db.execute(
            f"select * from {self._table} where project_id = ? and id = ?", (project_id, document_id)
        ).fetchone()
        return _document(row) if row else None

    def page(self, project_id: str, limit: int, offset: int) -> tuple[list[Document], int]:
        """Return one page, the last changed first, and how many there are."""
        total = self._db.execute(
            f"select count(*) from {self._table} where project_id = ?", (project_id,)
        ).fetchone()[0]
        rows = self._db.execute(
            f"select * from {self._table} where project_id = ?"
            " order by updated_at desc, rowid desc limit ? offset ?",
            (project_id, limit, offset),
        )
        return [_document(row) for row in rows], total

    def delete(self, document: Document) -> None:
        """Delete a document."""
        self._db.execute(f"delete from {self._table} where id = ?", (document.id,))

    def all(self, project_id: str) -> list[Document]:
        """Return every document of a project."""
        rows = self._db.execute(f"select * from {self._table} where project_id = ?", (project_id,))
        return [_document(row) for row in rows]


def _document(row: sqlite3.Row) -> Document:
    return Document(row["id"], load(row["body"]), row["created_at"], row["updated_at"])
