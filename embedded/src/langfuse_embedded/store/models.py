"""Model definitions in `state.db`: those of projects, and the built-in ones of all projects."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from datetime import date
from typing import Any

import orjson

from langfuse_embedded.clock import now_ms
from langfuse_embedded.pricing.model import Model

from .database import transaction

_COLUMNS = (
    "id, project_id, name, match_pattern, start_date, unit, tokenizer_id, tokenizer_config, tiers,"
    " created_at, updated_at"
)
_INSERT = (
    f"insert into models ({_COLUMNS}, position) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " on conflict (id) do update set name = excluded.name, match_pattern = excluded.match_pattern,"
    " start_date = excluded.start_date, unit = excluded.unit, tokenizer_id = excluded.tokenizer_id,"
    " tokenizer_config = excluded.tokenizer_config, tiers = excluded.tiers, position = excluded.position,"
    " updated_at = excluded.updated_at where models.project_id is excluded.project_id"
)
# The newest price first, as on the server; a model without a date is the oldest.
_BY_START_DATE = "order by start_date desc nulls last, created_at desc, rowid desc"

_FIRST_LIST_SECONDS = 10.0
_MAX_REMEMBERED = 20_000


class Models:
    """Reads and writes model definitions over one connection. A `pricing.book.ModelSource`.

    A model that has not changed is the same object each time it is read.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._read: dict[str, tuple[sqlite3.Row, Model]] = {}
        self._remembered: dict[str, Model] = {}
        self._remembered_generation = 0

    @property
    def remembered(self) -> Mapping[str, Model]:
        """All models by id, of all projects: read again only after one has changed."""
        generation = self.generation()
        if generation != self._remembered_generation:
            self._remembered = {model.id: model for model in self._models("")}
            self._remembered_generation = generation
        return self._remembered

    def generation(self) -> int:
        """Return a number that changes when any model changed."""
        number: int = self._db.execute("select generation from price_list").fetchone()[0]
        return number

    def project_models(self, project_id: str) -> list[Model]:
        """Return the models of a project in the order in which they are tried."""
        return self._models(f"where project_id = ? {_BY_START_DATE}", project_id)

    def builtin_models(self) -> list[Model]:
        """Return the built-in models in the order in which they are tried.

        In a new data directory the price list is still on its way for half a second after the start
        (`price_list.py`); an event that needs it waits, rather than staying without a cost for good.
        """
        deadline = time.monotonic() + _FIRST_LIST_SECONDS
        while not self.price_list()[0] and time.monotonic() < deadline:
            time.sleep(0.01)
        return self._models("where project_id is null order by position, id")

    def price_list(self) -> tuple[str, str]:
        """Return version and last day of the price list that is in; both empty when there is none."""
        version, valid_until = self._db.execute("select version, valid_until from price_list").fetchone()
        return version, valid_until

    def replace_builtin(self, models: list[Model], version: str, valid_until: date | None) -> None:
        """Put a price list in the place of the one that is in; one transaction."""
        moment = now_ms()
        with transaction(self._db):
            for position, model in enumerate(models):
                self._db.execute(_INSERT, (*_row(model, moment), position))
            kept = orjson.dumps([model.id for model in models]).decode()
            self._db.execute(
                "delete from models where project_id is null and id not in (select value from json_each(?))",
                (kept,),
            )
            self._db.execute(
                "update price_list set version = ?, valid_until = ?",
                (version, valid_until.isoformat() if valid_until else ""),
            )

    def save(self, model: Model) -> bool:
        """Create a model, or replace the one with its id; ``False`` when another project has that id."""
        cursor = self._db.execute(_INSERT, (*_row(model, now_ms()), 0))
        return cursor.rowcount > 0

    def get(self, project_id: str, model_id: str) -> Model | None:
        """Return a model that a project sees: one of its own, or a built-in one."""
        found = self._models("where id = ? and (project_id = ? or project_id is null)", model_id, project_id)
        return found[0] if found else None

    def has_name(self, project_id: str, name: str) -> bool:
        """Return whether a model of the project itself has this name."""
        found = self._db.execute(
            "select 1 from models where project_id = ? and name = ? limit 1", (project_id, name)
        ).fetchone()
        return found is not None

    def delete(self, project_id: str, model_id: str) -> bool:
        """Delete a model of a project; return whether there was one."""
        cursor = self._db.execute(
            "delete from models where id = ? and project_id = ?", (model_id, project_id)
        )
        return cursor.rowcount > 0

    def page(self, project_id: str, limit: int, offset: int) -> list[Model]:
        """Return one page of what a project sees, by name."""
        return self._models(
            "where project_id = ? or project_id is null"
            " order by name, unit, start_date desc nulls last, id limit ? offset ?",
            project_id,
            limit,
            offset,
        )

    def count(self, project_id: str, *, own: bool = False) -> int:
        """Return how many models a project sees, or has itself."""
        builtin = "" if own else " or project_id is null"
        number: int = self._db.execute(
            f"select count(*) from models where project_id = ?{builtin}", (project_id,)
        ).fetchone()[0]
        return number

    def _models(self, clause: str, *values: Any) -> list[Model]:
        rows = self._db.execute(f"select {_COLUMNS} from models {clause}", values).fetchall()
        if len(self._read) > _MAX_REMEMBERED:
            self._read.clear()
        return [self._model(row) for row in rows]

    def _model(self, row: sqlite3.Row) -> Model:
        known = self._read.get(row["id"])
        if known is None or known[0] != row:
            known = self._read[row["id"]] = row, _model(row)
        return known[1]


def _row(model: Model, moment: int) -> tuple[Any, ...]:
    config = model.tokenizer_config
    return (
        model.id,
        model.project_id,
        model.name,
        model.match_pattern,
        model.start_date,
        model.unit,
        model.tokenizer_id,
        None if config is None else orjson.dumps(config).decode(),
        orjson.dumps(model.tiers).decode(),
        model.created_at or moment,
        moment,
    )


def _model(row: sqlite3.Row) -> Model:
    config = row["tokenizer_config"]
    return Model(
        id=row["id"],
        project_id=row["project_id"],
        name=row["name"],
        match_pattern=row["match_pattern"],
        tiers=orjson.loads(row["tiers"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        start_date=row["start_date"],
        unit=row["unit"],
        tokenizer_id=row["tokenizer_id"],
        tokenizer_config=None if config is None else orjson.loads(config),
    )
