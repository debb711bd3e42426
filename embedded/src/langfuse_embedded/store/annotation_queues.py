"""Annotation queues in `state.db`: what people are to look at, and who."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langfuse_embedded import ids
from langfuse_embedded.clock import now_ms

from .documents import dump, load
from .state import StateStore

PENDING = "PENDING"
COMPLETED = "COMPLETED"
LOCK_MS = 5 * 60 * 1000
"""How long an item is kept for who opened it, as on the server (`fetchAndLockNext` in
web/src/features/annotation-queues/server/annotationQueuesRouter.ts at v4.16.0)."""


@dataclass(frozen=True, slots=True)
class AnnotationQueue:
    """A queue with the score configs that its items are judged by; times in Unix milliseconds."""

    id: str
    name: str
    description: str | None
    score_config_ids: list[str]
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class AnnotationQueueItem:
    """A trace, observation or session in a queue; times in Unix milliseconds."""

    id: str
    queue_id: str
    object_id: str
    object_type: str
    status: str
    completed_at: int | None
    created_at: int
    updated_at: int
    annotator_user_id: str | None = None
    locked_by_user_id: str | None = None
    locked_at: int | None = None

    def holder(self, now: int) -> str | None:
        """Return the user who has the item open, ``None`` when it is nobody's."""
        is_held = self.locked_at is not None and self.locked_at > now - LOCK_MS
        return self.locked_by_user_id if is_held else None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a queue is worked off, and whether it was given to the user who asks."""

    completed: int
    total: int
    is_assigned: bool


@dataclass(frozen=True, slots=True)
class Queued:
    """Something that is in a queue: its item there, and the name of the queue."""

    queue_id: str
    name: str
    object_type: str
    status: str


_ITEM = (
    "id, queue_id, object_id, object_type, status, completed_at, created_at, updated_at, annotator_user_id,"
    " locked_by_user_id, locked_at"
)


class AnnotationQueueStore:
    """Reads and writes queues. Writing methods run inside the caller's transaction."""

    def __init__(self, state: StateStore) -> None:
        self._db = state.db

    def create(
        self, project_id: str, name: str, description: str | None, score_config_ids: Sequence[str]
    ) -> AnnotationQueue | None:
        """Store a queue, or return ``None`` when the project has one of this name."""
        now, queue_id = now_ms(), ids.cuid()
        cursor = self._db.execute(
            "insert into annotation_queues (id, project_id, name, description, score_config_ids, created_at,"
            " updated_at) values (?, ?, ?, ?, ?, ?, ?) on conflict do nothing",
            (queue_id, project_id, name, description, dump(list(score_config_ids)), now, now),
        )
        return self.get(project_id, queue_id) if cursor.rowcount else None

    def get(self, project_id: str, queue_id: str) -> AnnotationQueue | None:
        """Return one queue."""
        row = self._db.execute(
            "select * from annotation_queues where project_id = ? and id = ?", (project_id, queue_id)
        ).fetchone()
        return _queue(row) if row else None

    def page(self, project_id: str, limit: int, offset: int) -> tuple[list[AnnotationQueue], int]:
        """Return one page, newest first, and how many there are."""
        total = self._db.execute(
            "select count(*) from annotation_queues where project_id = ?", (project_id,)
        ).fetchone()[0]
        rows = self._db.execute(
            "select * from annotation_queues where project_id = ?"
            " order by created_at desc, id desc limit ? offset ?",
            (project_id, limit, offset),
        )
        return [_queue(row) for row in rows], total

    def add_item(self, queue_id: str, object_id: str, object_type: str, status: str) -> AnnotationQueueItem:
        """Put something into a queue."""
        now = now_ms()
        item = AnnotationQueueItem(
            ids.cuid(),
            queue_id,
            object_id,
            object_type,
            status,
            now if status == COMPLETED else None,
            now,
            now,
        )
        self._db.execute(
            f"insert into annotation_queue_items ({_ITEM}) values (?, ?, ?, ?, ?, ?, ?, ?, null, null, null)",
            (item.id, queue_id, object_id, object_type, status, item.completed_at, now, now),
        )
        return item

    def with_object(self, project_id: str, objects: Mapping[str, str]) -> list[Queued]:
        """Return where things are queued, which are given as their ids by type; newest first, at most 100."""
        marks = ", ".join("(?, ?)" for _ in objects)
        rows = self._db.execute(
            "select q.id, q.name, i.object_type, i.status from annotation_queue_items i"
            " join annotation_queues q on q.id = i.queue_id where q.project_id = ?"
            f" and (i.object_type, i.object_id) in (values {marks})"
            " order by i.created_at desc, i.id desc limit 100",
            (project_id, *(part for pair in objects.items() for part in pair)),
        )
        return [Queued(*row) for row in rows]

    def item(self, queue_id: str, item_id: str) -> AnnotationQueueItem | None:
        """Return one item of a queue."""
        row = self._db.execute(
            f"select {_ITEM} from annotation_queue_items where queue_id = ? and id = ?", (queue_id, item_id)
        ).fetchone()
        return AnnotationQueueItem(*row) if row else None

    def items(
        self, queue_id: str, status: str | None, limit: int, offset: int
    ) -> tuple[list[AnnotationQueueItem], int]:
        """Return one page of a queue, newest first, and how many there are."""
        where, values = "queue_id = ?", [queue_id]
        if status is not None:
            where += " and status = ?"
            values.append(status)
        total = self._db.execute(
            f"select count(*) from annotation_queue_items where {where}", values
        ).fetchone()[0]
        rows = self._db.execute(
            f"select {_ITEM} from annotation_queue_items where {where}"
            " order by created_at desc, id desc limit ? offset ?",
            [*values, limit, offset],
        )
        return [AnnotationQueueItem(*row) for row in rows], total

    def set_status(self, item: AnnotationQueueItem, status: str | None) -> None:
        """Change the status of an item, or only its time of update."""
        now = now_ms()
        self._db.execute(
            "update annotation_queue_items set updated_at = ?, status = coalesce(?, status),"
            " completed_at = iif(?, ?, completed_at) where id = ?",
            (now, status, status == COMPLETED, now, item.id),
        )

    def progress(self, queue_id: str, user_id: str) -> Progress:
        """Return how far a queue is worked off."""
        completed, total, is_assigned = self._db.execute(
            "select coalesce(sum(status = 'COMPLETED'), 0), count(*), exists (select 1"
            " from annotation_queue_assignments where queue_id = ?1 and user_id = ?2)"
            " from annotation_queue_items where queue_id = ?1",
            (queue_id, user_id),
        ).fetchone()
        return Progress(completed, total, bool(is_assigned))

    def next_pending(
        self, queue_id: str, user_id: str, after: AnnotationQueueItem | None
    ) -> AnnotationQueueItem | None:
        """Return the oldest pending item, behind `after` if given, that nobody else has open."""
        place = (after.created_at, after.id) if after else (-1, "")
        row = self._db.execute(
            f"select {_ITEM} from annotation_queue_items where queue_id = ? and status = 'PENDING'"
            " and (locked_at is null or locked_at <= ? or locked_by_user_id = ?)"
            " and (created_at, id) > (?, ?) order by created_at, id limit 1",
            (queue_id, now_ms() - LOCK_MS, user_id, *place),
        ).fetchone()
        return AnnotationQueueItem(*row) if row else None

    def before(self, item: AnnotationQueueItem) -> str | None:
        """Return the id of the item that was put into the queue before this one."""
        row = self._db.execute(
            "select id from annotation_queue_items where queue_id = ? and (created_at, id) < (?, ?)"
            " order by created_at desc, id desc limit 1",
            (item.queue_id, item.created_at, item.id),
        ).fetchone()
        return row["id"] if row else None

    def lock(self, item: AnnotationQueueItem, user_id: str) -> None:
        """Keep an item for a user for `LOCK_MS`."""
        self._db.execute(
            "update annotation_queue_items set locked_at = ?, locked_by_user_id = ? where id = ?",
            (now_ms(), user_id, item.id),
        )

    def complete(self, item: AnnotationQueueItem, user_id: str) -> bool:
        """Complete a pending item for a user; return whether it was pending."""
        now = now_ms()
        cursor = self._db.execute(
            "update annotation_queue_items set status = 'COMPLETED', completed_at = ?, updated_at = ?,"
            " annotator_user_id = ? where id = ? and status = 'PENDING'",
            (now, now, user_id, item.id),
        )
        return cursor.rowcount == 1

    def delete_item(self, item: AnnotationQueueItem) -> None:
        """Take an item out of its queue."""
        self._db.execute("delete from annotation_queue_items where id = ?", (item.id,))

    def assign(self, queue_id: str, user_id: str) -> None:
        """Give a queue to a user."""
        self._db.execute(
            "insert into annotation_queue_assignments (queue_id, user_id) values (?, ?)"
            " on conflict do nothing",
            (queue_id, user_id),
        )

    def unassign(self, queue_id: str, user_id: str) -> None:
        """Take a queue from a user, if it was given."""
        self._db.execute(
            "delete from annotation_queue_assignments where queue_id = ? and user_id = ?", (queue_id, user_id)
        )


def _queue(row: sqlite3.Row) -> AnnotationQueue:
    score_config_ids: Any = load(row["score_config_ids"])
    return AnnotationQueue(
        id=row["id"],
        name=row["name"],
        description=row["description"],
        score_config_ids=score_config_ids,
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
