"""Media in `state.db` and in the media directory: records, bytes, and what refers to them."""

from __future__ import annotations

import hashlib
import os
import secrets
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langfuse_embedded.clock import now_ms

from .state import StateStore

UPLOADED = (200, 201)
"""The HTTP statuses of an upload that a client reports as success."""


@dataclass(frozen=True, slots=True)
class Media:
    """One media record; times in Unix milliseconds, `content_length` in bytes."""

    project_id: str
    id: str
    sha256: str
    content_type: str
    content_length: int
    uploaded_at: int | None = None
    upload_http_status: int | None = None
    upload_http_error: str | None = None

    @property
    def is_uploaded(self) -> bool:
        """Whether the client has reported a successful upload."""
        return self.upload_http_status in UPLOADED


@dataclass(frozen=True, slots=True)
class MediaReference:
    """A media string found in a JSON value: which field, where in it, the whole text, the id it names."""

    field: str
    json_path: str
    reference: str
    media_id: str


class MediaStore:
    """Reads and writes media records and links. Writing methods run inside the caller's transaction."""

    def __init__(self, state: StateStore, data_dir: Path) -> None:
        self._db = state.db
        self.files = MediaFiles(data_dir / "media")

    def get(self, project_id: str, media_id: str) -> Media | None:
        """Return a record by its id."""
        return self._one("id = ?", project_id, media_id)

    def by_hash(self, project_id: str, sha256: str) -> Media | None:
        """Return the record of these very bytes."""
        return self._one("sha256 = ?", project_id, sha256)

    def announce(self, media: Media) -> bool:
        """Store what is going to be uploaded; return false when the id belongs to other bytes."""
        now = now_ms()
        self._db.execute(
            "insert into media (project_id, id, sha256, content_type, content_length, created_at, updated_at)"
            " values (?, ?, ?, ?, ?, ?, ?) on conflict do nothing",
            (media.project_id, media.id, media.sha256, media.content_type, media.content_length, now, now),
        )
        cursor = self._db.execute(
            "update media set content_type = ?, content_length = ?, updated_at = ?"
            " where project_id = ? and id = ? and sha256 = ?",
            (media.content_type, media.content_length, now, media.project_id, media.id, media.sha256),
        )
        return cursor.rowcount == 1

    def report_upload(
        self, project_id: str, media_id: str, uploaded_at: int, status: int, error: str | None
    ) -> bool:
        """Store what the client says of its upload; return whether there is such a record."""
        cursor = self._db.execute(
            "update media set uploaded_at = ?, upload_http_status = ?, upload_http_error = ?, updated_at = ?"
            " where project_id = ? and id = ?",
            (uploaded_at, status, None if status == 200 else error, now_ms(), project_id, media_id),
        )
        return cursor.rowcount == 1

    def link_trace(
        self, project_id: str, trace_id: str, observation_id: str | None, field: str, media_id: str
    ) -> None:
        """Remember that a field of a trace or observation refers to a media record."""
        self._db.execute(
            "insert into trace_media (project_id, trace_id, observation_id, field, media_id, created_at)"
            " values (?, ?, ?, ?, ?, ?) on conflict do nothing",
            (project_id, trace_id, observation_id or "", field, media_id, now_ms()),
        )

    def link_item(
        self, project_id: str, item_id: str, valid_from: int, references: Iterable[MediaReference]
    ) -> None:
        """Remember what one version of a dataset item refers to."""
        self._db.executemany(
            "insert into dataset_item_media (project_id, dataset_item_id, dataset_item_valid_from, field,"
            " json_path, reference, media_id) values (?, ?, ?, ?, ?, ?, ?) on conflict do nothing",
            [
                (project_id, item_id, valid_from, one.field, one.json_path, one.reference, one.media_id)
                for one in references
            ],
        )

    def missing(self, project_id: str, media_ids: Iterable[str]) -> list[str]:
        """Return the ids without an uploaded record, each once."""
        return [
            media_id
            for media_id in dict.fromkeys(media_ids)
            if (media := self.get(project_id, media_id)) is None or not media.is_uploaded
        ]

    def _one(self, condition: str, *values: Any) -> Media | None:
        row = self._db.execute(f"select * from media where project_id = ? and {condition}", values).fetchone()
        return _media(row) if row else None


def media_of_items(
    db: sqlite3.Connection, project_id: str, versions: Sequence[tuple[str, int]]
) -> dict[tuple[str, int], list[tuple[MediaReference, Media]]]:
    """Return what versions of dataset items (id, valid from) refer to, ordered by field and path."""
    found: dict[tuple[str, int], list[tuple[MediaReference, Media]]] = {}
    for item_id, valid_from in versions:
        rows = db.execute(
            "select l.field, l.json_path, l.reference, m.* from dataset_item_media l"
            " join media m on m.project_id = l.project_id and m.id = l.media_id"
            " where l.project_id = ? and l.dataset_item_id = ? and l.dataset_item_valid_from = ?"
            " order by l.field, l.json_path",
            (project_id, item_id, valid_from),
        )
        found[item_id, valid_from] = [
            (MediaReference(row["field"], row["json_path"], row["reference"], row["id"]), media)
            for row in rows
            if (media := _media(row)).is_uploaded
        ]
    return found


class MediaFiles:
    """The bytes of media: one file each, named by a hash of project and id, complete or absent.

    What is being written is in a separate folder; what an earlier process left there is removed.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._unfinished = directory / "unfinished"
        for left in self._unfinished.glob("*"):
            left.unlink()

    def path(self, project_id: str, media_id: str) -> Path:
        """Return where the bytes are.

        The name is a hash: ids of projects may hold anything, and media ids differ by case alone, which not
        every file system tells apart.
        """
        name = hashlib.sha256(f"{project_id}/{media_id}".encode()).hexdigest()
        return self._directory / name[:2] / name

    def remove(self, project_id: str, media_id: str) -> None:
        """Delete the bytes, if there are any."""
        self.path(project_id, media_id).unlink(missing_ok=True)

    def begin(self, project_id: str, media_id: str) -> Upload:
        """Start to write a file; it appears under its name with `Upload.commit` alone."""
        target = self.path(project_id, media_id)
        for folder in (target.parent, self._unfinished):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return Upload(self._unfinished / secrets.token_hex(16), target)


class Upload:
    """A file that is being written: hashed on the way, renamed into place when it is complete."""

    def __init__(self, partial: Path, target: Path) -> None:
        self._partial, self._target = partial, target
        self._file = self._partial.open("wb")
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, chunk: bytes) -> None:
        """Append bytes."""
        self._hash.update(chunk)
        self.size += len(chunk)
        self._file.write(chunk)

    def digest(self) -> bytes:
        """Return the SHA-256 of what was written so far."""
        return self._hash.digest()

    def commit(self) -> None:
        """Bring the file to disk and to its name."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._partial.replace(self._target)
        folder = os.open(self._target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def discard(self) -> None:
        """Remove what was written, unless it was committed."""
        self._file.close()
        self._partial.unlink(missing_ok=True)


def _media(row: sqlite3.Row) -> Media:
    return Media(
        project_id=row["project_id"],
        id=row["id"],
        sha256=row["sha256"],
        content_type=row["content_type"],
        content_length=row["content_length"],
        uploaded_at=row["uploaded_at"],
        upload_http_status=row["upload_http_status"],
        upload_http_error=row["upload_http_error"],
    )
