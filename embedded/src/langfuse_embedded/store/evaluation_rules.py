"""Evaluation rules in `state.db`: which observations are judged, and by which evaluators."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langfuse_embedded import ids
from langfuse_embedded.clock import now_ms

from .documents import dump, dump_or_none, load, load_or_none
from .state import HasDb

Mapping = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Assignment:
    """An evaluator of a rule. `mapping` is null where the evaluator's own counts."""

    id: str
    rule_id: str
    evaluator_id: str
    mapping: Mapping | None


@dataclass(frozen=True, slots=True)
class RuleValues:
    """What a client says of a rule; `filter` is a list of conditions that must all hold."""

    name: str
    enabled: bool
    sampling: float
    filter: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule with its evaluators in order. Observations up to number `since` are not judged by it."""

    id: str
    project_id: str
    values: RuleValues
    since: int
    created_at: int
    updated_at: int
    assignments: tuple[Assignment, ...]


class EvaluationRuleStore:
    """Reads and writes rules. Writing methods run inside the caller's transaction."""

    def __init__(self, state: HasDb) -> None:
        self._db = state.db

    def get(self, project_id: str, rule_id: str) -> Rule | None:
        """Return a rule by its id."""
        return self._first("project_id = ? and id = ?", project_id, rule_id)

    def by_name(self, project_id: str, name: str) -> Rule | None:
        """Return a rule of a name."""
        return self._first("project_id = ? and name = ?", project_id, name)

    def page(
        self, project_id: str, limit: int, offset: int = 0, after: tuple[int, str] | None = None
    ) -> tuple[list[Rule], int]:
        """Return some rules, newest first, and how many there are; `after` is the last one's place."""
        total = self._db.execute(
            "select count(*) from evaluation_rules where project_id = ?", (project_id,)
        ).fetchone()[0]
        rows = self._db.execute(
            "select * from evaluation_rules where project_id = ? and (created_at, id) < (?, ?)"
            " order by created_at desc, id desc limit ? offset ?",
            (project_id, *(after or (2**62, "")), limit, offset),
        )
        return [self._rule(row) for row in rows.fetchall()], total

    def enabled(self) -> list[Rule]:
        """Return the enabled rules of all projects."""
        rows = self._db.execute("select * from evaluation_rules where enabled order by created_at, id")
        return [self._rule(row) for row in rows.fetchall()]

    def count_enabled(self, project_id: str) -> int:
        """Return how many rules of a project are enabled."""
        row = self._db.execute(
            "select count(*) from evaluation_rules where project_id = ? and enabled", (project_id,)
        ).fetchone()
        found: int = row[0]
        return found

    def of_evaluators(self, evaluator_ids: Sequence[str]) -> dict[str, list[Assignment]]:
        """Return the assignments of evaluators, newest first."""
        found: dict[str, list[Assignment]] = {one: [] for one in evaluator_ids}
        marks = ", ".join("?" * len(evaluator_ids))
        rows = self._db.execute(
            f"select * from evaluation_rule_assignments where evaluator_id in ({marks})"
            " order by created_at desc, position desc",
            tuple(evaluator_ids),
        )
        for row in rows:
            found[row["evaluator_id"]].append(_assignment(row))
        return found

    def create(self, project_id: str, values: RuleValues, since: int) -> str:
        """Store a rule without evaluators; return its id."""
        now, rule_id = now_ms(), ids.cuid()
        self._db.execute(
            "insert into evaluation_rules (id, project_id, name, enabled, sampling, filter, since,"
            " created_at, updated_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                rule_id,
                project_id,
                values.name,
                values.enabled,
                values.sampling,
                dump(values.filter),
                since,
                now,
                now,
            ),
        )
        return rule_id

    def update(self, rule: Rule, values: RuleValues, last: int) -> None:
        """Replace what a rule says; what came before number `last` is not judged by what it newly matches."""
        begins_anew = values.enabled and (not rule.values.enabled or values.filter != rule.values.filter)
        self._db.execute(
            "update evaluation_rules set name = ?, enabled = ?, sampling = ?, filter = ?, since = ?,"
            " updated_at = ? where id = ?",
            (
                values.name,
                values.enabled,
                values.sampling,
                dump(values.filter),
                last if begins_anew else rule.since,
                now_ms(),
                rule.id,
            ),
        )

    def assign(self, rule_id: str, evaluators: Sequence[tuple[str, Mapping | None]]) -> None:
        """Make these the evaluators of a rule; one that it has already keeps its assignment."""
        now = now_ms()
        kept = [evaluator_id for evaluator_id, _ in evaluators]
        marks = ", ".join("?" * len(kept))
        self._db.execute(
            f"delete from evaluation_rule_assignments where rule_id = ? and evaluator_id not in ({marks})",
            (rule_id, *kept),
        )
        self._db.executemany(
            "insert into evaluation_rule_assignments"
            " (id, rule_id, evaluator_id, position, mapping, created_at) values (?, ?, ?, ?, ?, ?)"
            " on conflict (rule_id, evaluator_id) do update set position = excluded.position,"
            " mapping = excluded.mapping",
            [
                (ids.cuid(), rule_id, evaluator_id, position, dump_or_none(mapping), now)
                for position, (evaluator_id, mapping) in enumerate(evaluators)
            ],
        )

    def delete(self, rule: Rule) -> None:
        """Delete a rule; its evaluators stay."""
        self._db.execute("delete from evaluation_rules where id = ?", (rule.id,))

    def _first(self, condition: str, *values: Any) -> Rule | None:
        row = self._db.execute(f"select * from evaluation_rules where {condition}", values).fetchone()
        return self._rule(row) if row else None

    def _rule(self, row: sqlite3.Row) -> Rule:
        assignments = self._db.execute(
            "select * from evaluation_rule_assignments where rule_id = ? order by position", (row["id"],)
        ).fetchall()
        return Rule(
            id=row["id"],
            project_id=row["project_id"],
            values=RuleValues(row["name"], bool(row["enabled"]), row["sampling"], load(row["filter"])),
            since=row["since"],
            created_at=row["created_at"],
            updated_at=row["updated_at"],
            assignments=tuple(map(_assignment, assignments)),
        )


def _assignment(row: sqlite3.Row) -> Assignment:
    return Assignment(row["id"], row["rule_id"], row["evaluator_id"], load_or_none(row["mapping"]))
