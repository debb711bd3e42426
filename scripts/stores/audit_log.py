"""PostgreSQL's audit log, in which the server keeps what was created, changed or deleted: word for word.

`auditLog` of the server (web/src/features/audit-logs/auditLog.ts at 4.16.0) is called from 190 places and
writes whole objects as JSON to `before` and `after`: comments with their text, dataset items with input and
expected output, scores with their comment, items of annotation queues, exports with their filters. No route
deletes a row of it.
"""

# ruff: noqa: S608 - statements are made of constants and quoted texts
from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from .identifiers import Needles, made_by_machine
from .postgres import Postgres, any_of, literal

TABLE = "audit_logs"
CONTENT = ("before", "after")
# Each belongs to a trace or session: all rows of one go, also those that do not name the trace.
_FOLLOWERS = ("comment", "datasetItem", "datasetRunItem", "score", "annotationQueueItem")
_SUBJECTS = ("trace", "observation", "session", *_FOLLOWERS)
# Their filters name users and sessions: `query` in packages/shared/prisma/schema.prisma.
_WITH_FILTERS = ("batchExport", "batchAction")
ALIAS = "erased-"
"""Begins what takes the place of a chosen id."""
_STRING = r'"((?:[^"\\]|\\.)*)"'
_FIELD = rf'"([A-Za-z_]*[iI]d)":\s*{_STRING}'
_OTHER_IDS = ("projectId", "orgId", "userId", "authorUserId", "datasetId", "queueId", "configId")
_IDS_A_QUESTION = 500


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the log, without its content."""

    id: str
    resource_type: str
    resource_id: str
    has_content: bool


@dataclass(frozen=True, slots=True)
class AuditLog:
    """The audit log of one stack. Raises StackError when PostgreSQL fails; may have no table yet."""

    postgres: Postgres

    def redact(
        self,
        project: str,
        ids: Collection[str],
        names: Collection[str],
        *,
        mark: str,
        alias: Callable[[str], str],
    ) -> int:
        """Take the content out of every row about these ids; return how many rows.

        Who did what and when stays, and an id that chance has made: that is what an audit log is kept for.

        Args:
            ids: of traces, observations, sessions and what was made from them.
            names: what the subject is called, for filters of exports.
            mark: JSON that takes the place of the content.
            alias: gives what takes the place of an id that a person chose.
        """
        if not self.postgres.has_table(TABLE):
            return 0
        found = {entry.id: entry for entry in self._about(project, ids, names, mark)}
        for kind in _FOLLOWERS:
            same = {entry.resource_id for entry in found.values() if entry.resource_type == kind}
            found |= {entry.id: entry for entry in self._of(project, kind, same, mark)}
        entries = [
            one for one in found.values() if one.has_content or _kept_id(one, alias) != one.resource_id
        ]
        for begin in range(0, len(entries), _IDS_A_QUESTION):
            self._overwrite(entries[begin : begin + _IDS_A_QUESTION], mark, alias)
        return len(entries)

    def _about(
        self, project: str, ids: Collection[str], names: Collection[str], mark: str
    ) -> Iterator[Entry]:
        ordered = sorted(ids)
        for begin in range(0, len(ordered), _IDS_A_QUESTION):
            some = Needles.of(ordered[begin : begin + _IDS_A_QUESTION])
            types = ", ".join(map(literal, _SUBJECTS))
            conditions = [
                f"resource_id = {any_of(some.random)}",
                f"resource_id = {any_of(some.chosen)} AND resource_type IN ({types})",
            ]
            if some.random:
                conditions.append(_says(f"'{_STRING}', 'g') AS m WHERE m[1]", some.random))
            if some.chosen:
                others = ", ".join(map(literal, _OTHER_IDS))
                field = f"'{_FIELD}', 'g') AS m WHERE m[1] NOT IN ({others}) AND m[2]"
                conditions.append(_says(field, some.chosen))
            yield from self._entries(project, " OR ".join(conditions), mark)
        if names:
            types = ", ".join(map(literal, _WITH_FILTERS))
            said = _says(f"'{_STRING}', 'g') AS m WHERE m[1]", names)
            yield from self._entries(project, f"resource_type IN ({types}) AND {said}", mark)

    def _of(self, project: str, kind: str, ids: Collection[str], mark: str) -> Iterator[Entry]:
        ordered = sorted(ids)
        for begin in range(0, len(ordered), _IDS_A_QUESTION):
            listed = any_of(ordered[begin : begin + _IDS_A_QUESTION])
            condition = f"resource_type = {literal(kind)} AND resource_id = {listed}"
            yield from self._entries(project, condition, mark)

    def _entries(self, project: str, condition: str, mark: str) -> Iterator[Entry]:
        content = " OR ".join(f"coalesce({name}, {literal(mark)}) <> {literal(mark)}" for name in CONTENT)
        rows = self.postgres.query(
            f"SELECT json_build_array(id, resource_type, resource_id, {content}) FROM {TABLE}"
            f" WHERE project_id = {literal(project)} AND ({condition});"
        )
        for row in rows.splitlines():
            yield Entry(*json.loads(row))

    def _overwrite(self, entries: Sequence[Entry], mark: str, alias: Callable[[str], str]) -> None:
        pairs = ", ".join(f"({literal(entry.id)}, {literal(_kept_id(entry, alias))})" for entry in entries)
        content = ", ".join(
            f"{name} = CASE WHEN a.{name} IS NULL THEN NULL ELSE {literal(mark)} END" for name in CONTENT
        )
        self.postgres.query(
            f"UPDATE {TABLE} AS a SET {content}, resource_id = kept.resource_id, updated_at = now()"
            f" FROM (VALUES {pairs}) AS kept (id, resource_id) WHERE a.id = kept.id;"
        )


def _kept_id(entry: Entry, alias: Callable[[str], str]) -> str:
    identifier = entry.resource_id
    if made_by_machine(identifier) or identifier.startswith(ALIAS):
        return identifier
    return ALIAS + alias(identifier)


def _says(matching: str, texts: Collection[str]) -> str:
    """Return the condition that the content has one of these texts as a JSON text of its own."""
    content = " || ' ' || ".join(f"coalesce({name}, '')" for name in CONTENT)
    inner = [json.dumps(text, ensure_ascii=False)[1:-1] for text in texts]  # as JSON.stringify writes it
    return f"EXISTS (SELECT FROM regexp_matches({content}, {matching} = {any_of(inner)})"
