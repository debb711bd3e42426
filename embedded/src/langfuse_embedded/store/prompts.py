"""Prompts in `state.db`: versions, labels, tags, and which prompt includes which."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from langfuse_embedded import ids
from langfuse_embedded.clock import now_ms

from .documents import dump, load
from .prompt_graph import Dependency
from .state import StateStore

LATEST = "latest"
PRODUCTION = "production"


@dataclass(frozen=True, slots=True)
class PromptVersion:
    """One version of a prompt; times in Unix milliseconds. `prompt` is a text or a list of messages."""

    id: str
    project_id: str
    name: str
    version: int
    type: str
    prompt: Any
    config: Any
    labels: list[str]
    tags: list[str]
    commit_message: str | None
    created_by: str
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class Dependent:
    """A prompt version that includes another prompt, by version or by label."""

    name: str
    version: int
    child_version: int | None
    child_label: str | None


@dataclass(frozen=True, slots=True)
class PromptSummary:
    """A prompt in a list: all its versions that fit the filter, taken together."""

    name: str
    type: str
    versions: list[int]
    labels: list[str]
    tags: list[str]
    last_updated_at: int
    last_config: Any


@dataclass(frozen=True, slots=True)
class PromptFilter:
    """Which versions a list looks at; times in Unix milliseconds, the upper one exclusive."""

    name: str | None = None
    version: int | None = None
    label: str | None = None
    tag: str | None = None
    updated_from: int | None = None
    updated_to: int | None = None

    def where(self, project_id: str) -> tuple[str, list[Any]]:
        """Return the SQL condition on `prompts p` and its values."""
        conditions = ["p.project_id = ?"]
        values: list[Any] = [project_id]
        for condition, value in (
            ("p.name = ?", self.name),
            ("p.version = ?", self.version),
            ("exists (select 1 from json_each(p.labels) where value = ?)", self.label),
            ("exists (select 1 from json_each(p.tags) where value = ?)", self.tag),
            ("p.updated_at >= ?", self.updated_from),
            ("p.updated_at < ?", self.updated_to),
        ):
            if value:
                conditions.append(condition)
                values.append(value)
        return " and ".join(conditions), values


class PromptStore:
    """Reads and writes prompts. Writing methods run inside the caller's transaction."""

    def __init__(self, state: StateStore) -> None:
        self._db = state.db

    def newest(self, project_id: str, name: str) -> PromptVersion | None:
        """Return the highest version of a prompt."""
        return self._one("project_id = ? and name = ? order by version desc limit 1", project_id, name)

    def by_version(self, project_id: str, name: str, version: float) -> PromptVersion | None:
        """Return one version of a prompt."""
        return self._one("project_id = ? and name = ? and version = ?", project_id, name, version)

    def by_label(self, project_id: str, name: str, label: str) -> PromptVersion | None:
        """Return the version that carries a label."""
        return self._one(
            "project_id = ? and name = ? and exists (select 1 from json_each(labels) where value = ?)",
            project_id,
            name,
            label,
        )

    def has_version(self, project_id: str, prompt_id: str) -> bool:
        """Return whether a project has the prompt version with this id."""
        return self._one("project_id = ? and id = ?", project_id, prompt_id) is not None

    def versions(
        self, project_id: str, name: str, version: int | None = None, label: str | None = None
    ) -> list[PromptVersion]:
        """Return the versions of a prompt that fit, oldest first."""
        where, values = PromptFilter(name=name, version=version, label=label).where(project_id)
        rows = self._db.execute(f"select * from prompts p where {where} order by version", values)
        return [_version(row) for row in rows]

    def create(self, prompt: PromptVersion, dependencies: Sequence[Dependency]) -> None:
        """Store a new version: its labels leave older versions, its tags become those of all versions."""
        self.take_labels(prompt.project_id, prompt.name, prompt.labels)
        tags = dump(prompt.tags)
        self._db.execute(
            "update prompts set tags = ?, updated_at = ? where project_id = ? and name = ? and tags <> ?",
            (tags, prompt.updated_at, prompt.project_id, prompt.name, tags),
        )
        self._db.execute(
            "insert into prompts (id, project_id, name, version, type, prompt, config, labels, tags,"
            " commit_message, created_by, created_at, updated_at)"
            " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                prompt.id,
                prompt.project_id,
                prompt.name,
                prompt.version,
                prompt.type,
                dump(prompt.prompt),
                dump(prompt.config),
                dump(prompt.labels),
                tags,
                prompt.commit_message,
                prompt.created_by,
                prompt.created_at,
                prompt.updated_at,
            ),
        )
        self._db.executemany(
            "insert into prompt_dependencies (parent_id, project_id, child_name, child_version, child_label)"
            " values (?, ?, ?, ?, ?)",
            [(prompt.id, prompt.project_id, d.name, d.version, d.label) for d in dependencies],
        )

    def take_labels(self, project_id: str, name: str, labels: Iterable[str]) -> None:
        """Remove labels from every version of a prompt that carries one."""
        taken = set(labels)
        for version in self.versions(project_id, name):
            left = [label for label in version.labels if label not in taken]
            if left != version.labels:
                self.set_labels(version.id, left)

    def set_labels(self, prompt_id: str, labels: Sequence[str]) -> int:
        """Replace the labels of one version; return its new time of update."""
        now = now_ms()
        self._db.execute(
            "update prompts set labels = ?, updated_at = ? where id = ?", (dump(labels), now, prompt_id)
        )
        return now

    def delete(self, versions: Iterable[PromptVersion]) -> None:
        """Delete versions, and what is known of their inclusions."""
        self._db.executemany("delete from prompts where id = ?", [(version.id,) for version in versions])

    def dependencies(self, prompt_id: str) -> list[Dependency]:
        """Return what a version includes, in the order of its text."""
        rows = self._db.execute(
            "select child_name, child_version, child_label from prompt_dependencies"
            " where parent_id = ? order by rowid",
            (prompt_id,),
        )
        return [Dependency(row["child_name"], row["child_version"], row["child_label"]) for row in rows]

    def dependents(self, project_id: str, name: str) -> list[Dependent]:
        """Return the versions that include a prompt."""
        rows = self._db.execute(
            "select p.name, p.version, d.child_version, d.child_label"
            " from prompt_dependencies d join prompts p on p.id = d.parent_id"
            " where d.project_id = ? and d.child_name = ? order by d.rowid",
            (project_id, name),
        )
        return [Dependent(*row) for row in rows]

    def page(
        self, project_id: str, wanted: PromptFilter, limit: int, offset: int
    ) -> tuple[list[PromptSummary], int]:
        """Return one page of prompts by name, and how many there are."""
        where, values = wanted.where(project_id)
        total = self._db.execute(
            f"select count(distinct name) from prompts p where {where}", values
        ).fetchone()[0]
        names = [
            row["name"]
            for row in self._db.execute(
                f"select distinct name from prompts p where {where} order by name limit ? offset ?",
                [*values, limit, offset],
            )
        ]
        return [self._summary(name, where, values) for name in names], total

    def _summary(self, name: str, where: str, values: list[Any]) -> PromptSummary:
        rows = self._db.execute(
            f"select * from prompts p where {where} and p.name = ? order by version", [*values, name]
        )
        versions = [_version(row) for row in rows]
        newest = versions[-1]
        return PromptSummary(
            name=name,
            type=newest.type,
            versions=[version.version for version in versions],
            labels=sorted({label for version in versions for label in version.labels}),
            tags=newest.tags,
            last_updated_at=max(version.updated_at for version in versions),
            last_config=newest.config,
        )

    def _one(self, condition: str, *values: Any) -> PromptVersion | None:
        row = self._db.execute(f"select * from prompts where {condition}", values).fetchone()
        return _version(row) if row else None


def new_prompt_id() -> str:
    """Return an id for a prompt version."""
    return ids.uuid4()


def _version(row: sqlite3.Row) -> PromptVersion:
    return PromptVersion(
        id=row["id"],
        project_id=row["project_id"],
        name=row["name"],
        version=row["version"],
        type=row["type"],
        prompt=load(row["prompt"]),
        config=load(row["config"]),
        labels=load(row["labels"]),
        tags=load(row["tags"]),
        commit_message=row["commit_message"],
        created_by=row["created_by"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
