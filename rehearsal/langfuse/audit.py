"""The rows that the server writes to `audit_logs` for what callers of the public API change, texts included.

web/src/features/audit-logs/auditLog.ts at v4.16.0: `before` and `after` are the objects as JSON. Which of
them are written for which change is what its 72 callers say; those of the public API are listed here.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from langfuse_embedded import ids

_ALL = ("create", "update", "delete")
AUDITED = {
    "annotation_queues": ("annotationQueue", _ALL),
    "annotation_queue_items": ("annotationQueueItem", _ALL),
    "annotation_queue_assignments": ("annotationQueueAssignment", _ALL),
    "comments": ("comment", ("create",)),
    "dashboards": ("dashboard", _ALL),
    "dashboard_widgets": ("dashboardWidget", _ALL),
    "dataset_items": ("datasetItem", _ALL),
    "dataset_run_items": ("datasetRunItem", ("create",)),
    "dataset_runs": ("datasetRun", ("delete",)),
    "datasets": ("dataset", ("create", "update")),
    "llm_connections": ("llmApiKey", _ALL),
    "models": ("model", ("create", "delete")),
    "prompts": ("prompt", _ALL),
    "score_configs": ("scoreConfig", ("create", "update")),
}
"""Table of the engine -> resource type of the server, and the changes for which it writes a row."""

_INSERT = (
    "insert into audit_logs (id, type, api_key_id, org_id, project_id, resource_type, resource_id, action,"
    " before, after) select %s, 'API_KEY', k.id, p.org_id, p.id, %s, %s, %s, %s, %s"
    " from api_keys k join projects p on p.id = k.project_id where k.public_key = %s"
)


class Statements(Protocol):
    """What carries out a statement within a transaction."""

    def execute(self, statement: str, values: Sequence[object]) -> object:
        """Carry out one statement."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose request changed something: a project is known by the key."""

    public_key: str

    @classmethod
    def of(cls, authorization: str) -> Caller | None:
        """Return who sends such a header, or None: an admin key belongs to no project."""
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() != "basic":
            return None
        return cls(base64.b64decode(value).decode(errors="replace").partition(":")[0])


@dataclass(frozen=True, slots=True)
class Change:
    """A row of a table as it was before and is now; None where there was or is none."""

    table: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None

    @property
    def action(self) -> str:
        """The server's word for it: `create`, `update` or `delete`."""
        if self.before is None:
            return "create"
        return "delete" if self.after is None else "update"


def record(statements: Statements, caller: Caller, changes: Iterable[Change]) -> None:
    """Write the rows for the changes that one request made."""
    listed = list(changes)
    # A new version of a prompt takes labels away from older ones: that is one change for the server.
    created = {change.table for change in listed if change.action == "create"}
    for change in listed:
        resource, actions = AUDITED.get(change.table, ("", ()))
        beside = change.action == "update" and change.table in created
        if change.action in actions and not beside:
            row = change.after or change.before or {}
            keeps_secret = change.table == "llm_connections" and change.action != "delete"
            before, after = (None, None) if keeps_secret else (change.before, change.after)
            record_one(statements, caller, resource, str(row["id"]), change.action, before, after)


def record_one(
    statements: Statements,
    caller: Caller,
    resource: str,
    resource_id: str,
    action: str,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Write one row."""
    statements.execute(
        _INSERT,
        (
            ids.cuid(),
            resource,
            resource_id,
            action,
            _text(before),
            _text(after),
            caller.public_key,
        ),
    )


def _text(row: dict[str, Any] | None) -> str | None:
    if row is None:
        return None
    return json.dumps({_camel(name): _value(value) for name, value in row.items()}, ensure_ascii=False)


def _camel(name: str) -> str:
    return re.sub(r"_(.)", lambda found: found[1].upper(), name)


def _value(value: Any) -> Any:
    """Return a value as the server has it: the engine keeps objects and lists as text."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
