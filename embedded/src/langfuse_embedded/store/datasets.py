"""Datasets in `state.db`."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from langfuse_embedded import ids
from langfuse_embedded.clock import now_ms

from .documents import dump_or_none, load_or_none
from .state import StateStore


@dataclass(frozen=True, slots=True)
class Dataset:
    """A named list of items; times in Unix milliseconds. Schemas are JSON Schemas or ``None``."""

    id: str
    project_id: str
    name: str
    description: str | None
    metadata: Any
    input_schema: dict[str, Any] | None
    expected_output_schema: dict[str, Any] | None
    created_at: int
    updated_at: int


class DatasetStore:
    """Reads and writes datasets. Writing methods run inside the caller's transaction."""

    def __init__(self, state: StateStore) -> None:
        self._db = state.db

    def by_name(self, project_id: str, name: str) -> Dataset | None:
        """Return a dataset by its name."""
        return self._one("name = ?", project_id, name)

    def by_id(self, project_id: str, dataset_id: str) -> Dataset | None:
        """Return a dataset by its id."""
        return self._one("id = ?", project_id, dataset_id)

    def page(self, project_id: str, limit: int, offset: int) -> tuple[list[Dataset], int]:
        """Return one page, newest first, and how many there are."""
        total = self._db.execute(
            "select count(*) from datasets where project_id = ?", (project_id,)
        ).fetchone()[0]
        rows = self._db.execute(
            "select * from datasets where project_id = ? order by created_at desc, id limit ? offset ?",
            (project_id, limit, offset),
        )
        return [_dataset(row) for row in rows], total

    def create(self, project_id: str, name: str, changes: dict[str, Any]) -> Dataset:
        """Store a new dataset; `changes` as in `update`."""
        now = now_ms()
        dataset_id = ids.cuid()
        self._db.execute(
            "insert into datasets (id, project_id, name, created_at, updated_at) values (?, ?, ?, ?, ?)",
            (dataset_id, project_id, name, now, now),
        )
        self._set(dataset_id, changes)
        return self._existing(project_id, dataset_id)

    def update(self, dataset: Dataset, changes: dict[str, Any]) -> Dataset:
        """Change the given ones of description, metadata, input_schema and expected_output_schema."""
        self._db.execute("update datasets set updated_at = ? where id = ?", (now_ms(), dataset.id))
        self._set(dataset.id, changes)
        return self._existing(dataset.project_id, dataset.id)

    def _set(self, dataset_id: str, changes: dict[str, Any]) -> None:
        for column in ("description", "metadata", "input_schema", "expected_output_schema"):
            if column in changes:
                value = changes[column] if column == "description" else dump_or_none(changes[column])
                self._db.execute(f"update datasets set {column} = ? where id = ?", (value, dataset_id))

    def _existing(self, project_id: str, dataset_id: str) -> Dataset:
        found = self.by_id(project_id, dataset_id)
        if found is None:
            raise LookupError(f"dataset {dataset_id} vanished inside a transaction")
        return found

    def _one(self, condition: str, *values: Any) -> Dataset | None:
        row = self._db.execute(
            f"select * from datasets where project_id = ? and {condition}", values
        ).fetchone()
        return _dataset(row) if row else None


def _dataset(row: sqlite3.Row) -> Dataset:
    return Dataset(
        id=row["id"],
        project_id=row["project_id"],
        name=row["name"],
        description=row["description"],
        metadata=load_or_none(row["metadata"]),
        input_schema=load_or_none(row["input_schema"]),
        expected_output_schema=load_or_none(row["expected_output_schema"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
