"""Evaluators in `state.db`: a stable row with a name, and a row for each version of its definition."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, TypedDict

from langfuse_embedded import ids
from langfuse_embedded.clock import now_ms

from .documents import dump, load
from .state import HasDb

CONNECTION_MISSING = "LLM_CONNECTION_MISSING"
DEFAULT_MODEL_MISSING = "DEFAULT_EVAL_MODEL_MISSING"


class Output(TypedDict, total=False):
    """What a judge answers: `dataType` NUMERIC, BOOLEAN or CATEGORICAL, and what it is told about it."""

    dataType: str
    reasoning: str | None
    score: str | None
    minValue: float
    maxValue: float
    categories: list[str]
    multiple: bool


class Definition(TypedDict):
    """How an evaluator judges. `mapping` has `variable`, `source` and `jsonPath`; null means none."""

    prompt: list[dict[str, str]]
    model: dict[str, str] | None
    mapping: list[dict[str, str]] | None
    output: Output


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an evaluator; its time is Unix milliseconds."""

    id: str
    number: int
    definition: Definition
    created_at: int


@dataclass(frozen=True, slots=True)
class Evaluator:
    """An evaluator with its newest version; times are Unix milliseconds."""

    id: str
    project_id: str
    name: str
    description: str | None
    paused_at: int | None
    paused_reason: str | None
    created_at: int
    updated_at: int
    version: Version


_NEWEST = (
    "select e.*, v.id as version_id, v.version, v.definition, v.created_at as version_created_at"
    " from evaluators e join evaluator_versions v on v.evaluator_id = e.id"
    " and v.version = (select max(version) from evaluator_versions where evaluator_id = e.id)"
)


class EvaluatorStore:
    """Reads and writes evaluators. Writing methods run inside the caller's transaction."""

    def __init__(self, state: HasDb) -> None:
        self._db = state.db

    def get(self, project_id: str, evaluator_id: str) -> Evaluator | None:
        """Return an evaluator by its id."""
        return self._one("e.project_id = ? and e.id = ?", project_id, evaluator_id)

    def by_name(self, project_id: str, name: str) -> Evaluator | None:
        """Return the newest evaluator of a name."""
        return self._one(
            "e.project_id = ? and e.name = ? order by e.created_at desc, e.rowid desc", project_id, name
        )

    def newest(self, project_id: str, limit: int, after: tuple[int, str] | None) -> list[Evaluator]:
        """Return evaluators in the order of their creation, the last first; `after` is the place of one."""
        rows = self._db.execute(
            f"{_NEWEST} where e.project_id = ? and (e.created_at, e.id) < (?, ?)"
            " order by e.created_at desc, e.id desc limit ?",
            (project_id, *(after or (2**62, "")), limit),
        )
        return [_evaluator(row) for row in rows]

    def page(self, project_id: str, limit: int, offset: int) -> tuple[list[Evaluator], int]:
        """Return one page, the last changed first, and how many there are."""
        total = self._db.execute(
            "select count(*) from evaluators where project_id = ?", (project_id,)
        ).fetchone()[0]
        rows = self._db.execute(
            f"{_NEWEST} where e.project_id = ? order by e.updated_at desc, e.id desc limit ? offset ?",
            (project_id, limit, offset),
        )
        return [_evaluator(row) for row in rows], total

    def versions(self, evaluator_id: str, limit: int, before: int | None = None) -> list[Version]:
        """Return versions below a number, newest first."""
        rows = self._db.execute(
            "select id as version_id, version, definition, created_at as version_created_at"
            " from evaluator_versions where evaluator_id = ? and version < ? order by version desc limit ?",
            (evaluator_id, before or 2**62, limit),
        )
        return [_version(row) for row in rows]

    def create(self, project_id: str, name: str, description: str | None, definition: Definition) -> str:
        """Store a new evaluator with version 1; return its id."""
        now, evaluator_id = now_ms(), ids.cuid()
        self._db.execute(
            "insert into evaluators (id, project_id, name, description, created_at, updated_at)"
            " values (?, ?, ?, ?, ?, ?)",
            (evaluator_id, project_id, name, description, now, now),
        )
        self._add_version(evaluator_id, 1, definition, now)
        return evaluator_id

    def add_version(self, evaluator: Evaluator, definition: Definition) -> None:
        """Make a definition the newest version."""
        now = now_ms()
        self._add_version(evaluator.id, evaluator.version.number + 1, definition, now)
        self._db.execute("update evaluators set updated_at = ? where id = ?", (now, evaluator.id))

    def rename(self, evaluator: Evaluator, name: str, description: str | None) -> None:
        """Change name and description, which makes no version."""
        self._db.execute(
            "update evaluators set name = ?, description = ?, updated_at = ? where id = ?",
            (name, description, now_ms(), evaluator.id),
        )

    def pause(self, evaluator_id: str, reason: str) -> None:
        """Stop an evaluator; the first reason stays."""
        self._db.execute(
            "update evaluators set paused_at = ?, paused_reason = ?, updated_at = ?"
            " where id = ? and paused_at is null",
            (now := now_ms(), reason, now, evaluator_id),
        )

    def resume(self, evaluator_id: str) -> None:
        """Let a paused evaluator work again."""
        self._db.execute(
            "update evaluators set paused_at = null, paused_reason = null where id = ?", (evaluator_id,)
        )

    def paused(self, project_id: str) -> list[dict[str, str]]:
        """Return `name` and `reason` of the paused evaluators of a project."""
        rows = self._db.execute(
            "select name, paused_reason as reason from evaluators"
            " where project_id = ? and paused_reason is not null order by name",
            (project_id,),
        )
        return [{"name": row["name"], "reason": row["reason"]} for row in rows]

    def pause_users_of(self, project_id: str, provider: str) -> None:
        """Stop the evaluators whose newest version names a provider that has no connection any more."""
        rows = self._db.execute(f"{_NEWEST} where e.project_id = ?", (project_id,)).fetchall()
        for evaluator in map(_evaluator, rows):
            model = evaluator.version.definition["model"]
            if model is not None and model["provider"] == provider:
                self.pause(evaluator.id, CONNECTION_MISSING)

    def pause_users_of_default(self, project_id: str) -> None:
        """Stop the evaluators whose newest version names no model."""
        rows = self._db.execute(f"{_NEWEST} where e.project_id = ?", (project_id,)).fetchall()
        for evaluator in map(_evaluator, rows):
            if evaluator.version.definition["model"] is None:
                self.pause(evaluator.id, DEFAULT_MODEL_MISSING)

    def resume_users_of_default(self, project_id: str) -> None:
        """Let those work again that stopped for want of a default model."""
        self._db.execute(
            "update evaluators set paused_at = null, paused_reason = null"
            " where project_id = ? and paused_reason = ?",
            (project_id, DEFAULT_MODEL_MISSING),
        )

    def delete(self, evaluator: Evaluator) -> None:
        """Delete an evaluator with its versions and assignments; rules that are left without any stop."""
        rules = self._db.execute(
            "select rule_id from evaluation_rule_assignments where evaluator_id = ?", (evaluator.id,)
        ).fetchall()
        self._db.execute("delete from evaluators where id = ?", (evaluator.id,))
        self._db.executemany(
            "update evaluation_rules set enabled = 0, updated_at = ?1 where id = ?2 and not exists"
            " (select 1 from evaluation_rule_assignments where rule_id = ?2)",
            [(now_ms(), row[0]) for row in rules],
        )

    def named(self, ids_: Collection[str]) -> dict[str, Evaluator]:
        """Return evaluators by their ids, of any project."""
        marks = ", ".join("?" * len(ids_))
        rows = self._db.execute(f"{_NEWEST} where e.id in ({marks})", tuple(ids_))
        return {row["id"]: _evaluator(row) for row in rows}

    def _add_version(self, evaluator_id: str, number: int, definition: Definition, now: int) -> None:
        self._db.execute(
            "insert into evaluator_versions (id, evaluator_id, version, definition, created_at)"
            " values (?, ?, ?, ?, ?)",
            (ids.cuid(), evaluator_id, number, dump(definition), now),
        )

    def _one(self, condition: str, *values: Any) -> Evaluator | None:
        row = self._db.execute(f"{_NEWEST} where {condition} limit 1", values).fetchone()
        return _evaluator(row) if row else None


def _evaluator(row: sqlite3.Row) -> Evaluator:
    return Evaluator(
        id=row["id"],
        project_id=row["project_id"],
        name=row["name"],
        description=row["description"],
        paused_at=row["paused_at"],
        paused_reason=row["paused_reason"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        version=_version(row),
    )


def _version(row: sqlite3.Row) -> Version:
    return Version(row["version_id"], row["version"], load(row["definition"]), row["version_created_at"])
