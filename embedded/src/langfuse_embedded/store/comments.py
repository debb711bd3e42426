"""Comments in `state.db`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from langfuse_embedded import ids
from langfuse_embedded.clock import now_ms

from .state import StateStore

_COLUMNS = "id, project_id, object_type, object_id, content, author_user_id, created_at, updated_at"


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment on something; times in Unix milliseconds."""

    id: str
    project_id: str
    object_type: str
    object_id: str
    content: str
    author_user_id: str | None
    created_at: int
    updated_at: int


class CommentStore:
    """Reads and writes comments. Writing methods run inside the caller's transaction."""

    def __init__(self, state: StateStore) -> None:
        self._db = state.db

    def create(
        self, project_id: str, object_type: str, object_id: str, content: str, author: str | None
    ) -> Comment:
        """Store a comment."""
        now = now_ms()
        comment = Comment(ids.uuid4(), project_id, object_type, object_id, content, author, now, now)
        self._db.execute(
            f"insert into comments ({_COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?)",
            (comment.id, project_id, object_type, object_id, content, author, now, now),
        )
        return comment

    def get(self, project_id: str, comment_id: str) -> Comment | None:
        """Return one comment."""
        row = self._db.execute(
            f"select {_COLUMNS} from comments where project_id = ? and id = ?", (project_id, comment_id)
        ).fetchone()
        return Comment(*row) if row else None

    def page(
        self, project_id: str, wanted: dict[str, str], limit: int, offset: int
    ) -> tuple[list[Comment], int]:
        """Return one page, oldest first, and how many there are; `wanted` maps columns to values."""
        where = " and ".join(["project_id = ?", *(f"{column} = ?" for column in wanted)])
        values: list[Any] = [project_id, *wanted.values()]
        total = self._db.execute(f"select count(*) from comments where {where}", values).fetchone()[0]
        rows = self._db.execute(
            f"select {_COLUMNS} from comments where {where} order by created_at, rowid limit ? offset ?",
            [*values, limit, offset],
        )
        return [Comment(*row) for row in rows], total

    def counts(self, project_id: str, object_type: str, object_ids: Sequence[str]) -> dict[str, int]:
        """Return how many comments objects have, by id; without those that have none."""
        rows = self._db.execute(
            "select object_id, count(*) from comments where project_id = ? and object_type = ?"
            " and object_id in (select value from json_each(?)) group by object_id",
            (project_id, object_type, orjson.dumps(object_ids).decode()),
        )
        return dict(rows.fetchall())
