"""Dataset items in `state.db`: every write is a new version, valid from its time on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from langfuse_embedded.clock import now_ms

from .documents import dump_or_none, load_or_none
from .state import HasDb


@dataclass(frozen=True, slots=True)
class DatasetItem:
    """One version of an item; times in Unix milliseconds. Values are JSON or ``None``."""

    id: str
    dataset_id: str
    dataset_name: str
    valid_from: int
    input: Any
    expected_output: Any
    metadata: Any
    source_trace_id: str | None
    source_observation_id: str | None
    status: str
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class ItemValues:
    """What a write gives an item."""

    input: Any
    expected_output: Any
    metadata: Any
    source_trace_id: str | None
    source_observation_id: str | None
    status: str

    def texts(self) -> ItemTexts:
        """Return the documents as they are stored, which takes long for large ones."""
        return (dump_or_none(self.input), dump_or_none(self.expected_output), dump_or_none(self.metadata))


ItemTexts = tuple[str | None, str | None, str | None]
"""Input, expected output and metadata in JSON; ``None`` for null."""


@dataclass(frozen=True, slots=True)
class ItemFilter:
    """Which items a list holds. `at` is the time (Unix milliseconds) whose versions are meant, or now."""

    dataset_id: str | None = None
    source_trace_id: str | None = None
    source_observation_id: str | None = None
    at: int | None = None


_SELECT = "select i.*, d.name as dataset_name from dataset_items i join datasets d on d.id = i.dataset_id"


@dataclass(frozen=True, slots=True)
class WrittenItem:
    """An item as it was stored just now."""

    row: sqlite3.Row

    @property
    def valid_from(self) -> int:
        """From when on this version is valid (Unix milliseconds)."""
        return int(self.row["valid_from"])

    def read(self) -> DatasetItem:
        """Return the item, which takes long for a large one."""
        return _item(self.row)


class DatasetItemStore:
    """Reads and writes dataset items. Writing methods run inside the caller's transaction."""

    def __init__(self, state: HasDb) -> None:
        self._db = state.db

    def get(self, project_id: str, item_id: str, at: int | None = None) -> DatasetItem | None:
        """Return the version of an item that is valid now, or was at a time (Unix milliseconds)."""
        valid, values = _valid(at)
        row = self._db.execute(
            f"{_SELECT} where i.project_id = ? and i.id = ? and i.is_deleted = 0 and {valid} limit 1",
            (project_id, item_id, *values),
        ).fetchone()
        return _item(row) if row else None

    def page(
        self, project_id: str, wanted: ItemFilter, limit: int, offset: int
    ) -> tuple[list[DatasetItem], int]:
        """Return one page of the active items, newest version first, and how many there are."""
        valid, values = _valid(wanted.at)
        conditions = ["i.project_id = ?", "i.is_deleted = 0", "i.status = 'ACTIVE'", valid]
        values = [project_id, *values]
        for column in ("dataset_id", "source_trace_id", "source_observation_id"):
            value = getattr(wanted, column)
            if value:
                conditions.append(f"i.{column} = ?")
                values.append(value)
        where = " and ".join(conditions)
        total = self._db.execute(f"select count(*) from dataset_items i where {where}", values).fetchone()[0]
        rows = self._db.execute(
            f"{_SELECT} where {where} order by i.valid_from desc, i.id limit ? offset ?",
            [*values, limit, offset],
        )
        return [_item(row) for row in rows], total

    def current_of(self, dataset_id: str) -> Iterator[DatasetItem]:
        """Return the versions of a dataset's items that are valid now, archived ones too."""
        return current_items(self._db, dataset_id)

    def write(
        self, project_id: str, dataset_id: str, item_id: str, values: ItemValues, texts: ItemTexts
    ) -> WrittenItem:
        """Store a new version of an item and end the one before; `texts` are those of the values."""
        valid_from = self._end_current(project_id, item_id)
        self._db.execute(
            "insert into dataset_items (project_id, id, valid_from, dataset_id, input, expected_output,"
            " metadata, source_trace_id, source_observation_id, status, created_at, updated_at)"
            " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                project_id,
                item_id,
                valid_from,
                dataset_id,
                *texts,
                values.source_trace_id,
                values.source_observation_id,
                values.status,
                valid_from,
                valid_from,
            ),
        )
        row = self._db.execute(
            f"{_SELECT} where i.project_id = ? and i.id = ? and i.valid_to is null", (project_id, item_id)
        ).fetchone()
        return WrittenItem(row)

    def delete(self, project_id: str, item: DatasetItem) -> None:
        """End an item: older views keep it."""
        valid_from = self._end_current(project_id, item.id)
        self._db.execute(
            "insert into dataset_items (project_id, id, valid_from, is_deleted, dataset_id, status,"
            " created_at, updated_at) values (?, ?, ?, 1, ?, 'ACTIVE', ?, ?)",
            (project_id, item.id, valid_from, item.dataset_id, valid_from, valid_from),
        )

    def _end_current(self, project_id: str, item_id: str) -> int:
        """End the newest version; return the time of the next, which is later even within a millisecond."""
        newest = self._db.execute(
            "select max(valid_from) from dataset_items where project_id = ? and id = ?", (project_id, item_id)
        ).fetchone()[0]
        valid_from = now_ms() if newest is None else max(now_ms(), newest + 1)
        self._db.execute(
            "update dataset_items set valid_to = ? where project_id = ? and id = ? and valid_to is null",
            (valid_from, project_id, item_id),
        )
        return valid_from


def current_items(db: sqlite3.Connection, dataset_id: str) -> Iterator[DatasetItem]:
    """Return the versions of a dataset's items that are valid now, archived ones too."""
    rows = db.execute(
        f"{_SELECT} where i.dataset_id = ? and i.is_deleted = 0 and i.valid_to is null"
        " order by i.valid_from desc, i.id",
        (dataset_id,),
    )
    return map(_item, rows)


def _valid(at: int | None) -> tuple[str, list[Any]]:
    if at is None:
        return "i.valid_to is null", []
    return "i.valid_from <= ? and (i.valid_to is null or i.valid_to > ?)", [at, at]


def _item(row: sqlite3.Row) -> DatasetItem:
    return DatasetItem(
        id=row["id"],
        dataset_id=row["dataset_id"],
        dataset_name=row["dataset_name"],
        valid_from=row["valid_from"],
        input=load_or_none(row["input"]),
        expected_output=load_or_none(row["expected_output"]),
        metadata=load_or_none(row["metadata"]),
        source_trace_id=row["source_trace_id"],
        source_observation_id=row["source_observation_id"],
        status=row["status"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
