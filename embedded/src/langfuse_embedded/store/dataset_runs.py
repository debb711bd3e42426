"""Dataset runs in `state.db`: which trace answered which item. Only the dual mode writes them."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from langfuse_embedded import ids

from .documents import dump, load
from .state import StateStore


@dataclass(frozen=True, slots=True)
class DatasetRun:
    """One run over a dataset; times in Unix milliseconds."""

    id: str
    dataset_id: str
    dataset_name: str
    name: str
    description: str | None
    metadata: Any
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class DatasetRunItem:
    """One item of a run, and the trace (and observation) that answered it."""

    id: str
    run_id: str
    run_name: str
    dataset_item_id: str
    trace_id: str
    observation_id: str | None
    created_at: int


class DatasetRunStore:
    """Reads and writes runs. Writing methods run inside the caller's transaction."""

    def __init__(self, state: StateStore) -> None:
        self._db = state.db

    def get(self, project_id: str, dataset_id: str, name: str) -> DatasetRun | None:
        """Return a run by dataset and name."""
        row = self._db.execute(
            "select r.*, d.name as dataset_name from dataset_runs r join datasets d on d.id = r.dataset_id"
            " where r.project_id = ? and r.dataset_id = ? and r.name = ?",
            (project_id, dataset_id, name),
        ).fetchone()
        return _run(row) if row else None

    def create(
        self, project_id: str, dataset_id: str, name: str, description: str | None, metadata: Any, at: int
    ) -> DatasetRun:
        """Return the run of this name, stored now if there was none; an existing one stays as it is."""
        self._db.execute(
            "insert into dataset_runs (id, project_id, dataset_id, name, description, metadata, created_at,"
            " updated_at) values (?, ?, ?, ?, ?, ?, ?, ?) on conflict do nothing",
            (ids.uuid4(), project_id, dataset_id, name, description, dump(metadata), at, at),
        )
        run = self.get(project_id, dataset_id, name)
        if run is None:
            raise LookupError(f"dataset run {name!r} vanished inside a transaction")
        return run

    def add_item(
        self,
        run: DatasetRun,
        dataset_item_id: str,
        valid_from: int,
        trace_id: str,
        observation_id: str | None,
        at: int,
    ) -> DatasetRunItem:
        """Store that a trace answered an item (in the version of `valid_from`)."""
        item = DatasetRunItem(ids.uuid4(), run.id, run.name, dataset_item_id, trace_id, observation_id, at)
        self._db.execute(
            "insert into dataset_run_items (id, run_id, dataset_item_id, dataset_item_valid_from, trace_id,"
            " observation_id, created_at) values (?, ?, ?, ?, ?, ?, ?)",
            (item.id, run.id, dataset_item_id, valid_from, trace_id, observation_id, at),
        )
        return item

    def page(self, project_id: str, dataset_id: str, limit: int, offset: int) -> tuple[list[DatasetRun], int]:
        """Return one page of a dataset's runs, newest first, and how many there are."""
        total = self._db.execute(
            "select count(*) from dataset_runs where project_id = ? and dataset_id = ?",
            (project_id, dataset_id),
        ).fetchone()[0]
        rows = self._db.execute(
            "select r.*, d.name as dataset_name from dataset_runs r join datasets d on d.id = r.dataset_id"
            " where r.project_id = ? and r.dataset_id = ? order by r.created_at desc, r.id limit ? offset ?",
            (project_id, dataset_id, limit, offset),
        )
        return [_run(row) for row in rows], total

    def items(self, run: DatasetRun, limit: int = -1, offset: int = 0) -> tuple[list[DatasetRunItem], int]:
        """Return the items of a run, newest first, and how many there are; -1 means all.

        Of a dataset item that was answered twice the last answer counts.
        """
        total = self._db.execute(
            "select count(distinct dataset_item_id) from dataset_run_items where run_id = ?", (run.id,)
        ).fetchone()[0]
        rows = self._db.execute(
            "select * from dataset_run_items where rowid in (select max(rowid) from dataset_run_items"
            " where run_id = ? group by dataset_item_id) order by created_at desc, rowid desc"
            " limit ? offset ?",
            (run.id, limit, offset),
        )
        return [
            DatasetRunItem(
                row["id"],
                run.id,
                run.name,
                row["dataset_item_id"],
                row["trace_id"],
                row["observation_id"],
                row["created_at"],
            )
            for row in rows
        ], total

    def delete(self, run: DatasetRun) -> None:
        """Delete a run and its items."""
        self._db.execute("delete from dataset_runs where id = ?", (run.id,))


def _run(row: sqlite3.Row) -> DatasetRun:
    return DatasetRun(
        id=row["id"],
        dataset_id=row["dataset_id"],
        dataset_name=row["dataset_name"],
        name=row["name"],
        description=row["description"],
        metadata=load(row["metadata"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
