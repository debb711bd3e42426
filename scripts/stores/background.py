"""Background migrations of the worker: which of them are still to be waited for.

Rules of the server at v4.16.0: what it runs is in
worker/src/backgroundMigrations/backgroundMigrationManager.ts:42-77, what it calls dormant in
web/src/features/background-migrations/server/background-migrations-router.ts:27-48.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

GATES = "LANGFUSE_BACKGROUND_MIGRATION_"
"""What variables begin with that let a dormant migration run."""

UNFINISHED = (
    "SELECT json_build_object('name', name, 'failed', failed_at IS NOT NULL, 'reason', failed_reason,"
    " 'claimed', worker_id IS NOT NULL, 'gate', args -> 'envGate')"
    " FROM background_migrations WHERE finished_at IS NULL ORDER BY name"
)
"""Gives a JSON object a row."""


@dataclass(frozen=True, slots=True)
class BackgroundMigration:
    """One that has not finished.

    Attributes:
        failed: whether it gave up, for `reason`.
        claimed: whether a worker has ever begun it.
        gate: the variable of the worker that has to be `true`, or empty.
    """

    name: str
    failed: bool = False
    reason: str = ""
    claimed: bool = False
    gate: str = ""

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> BackgroundMigration:
        """Return what a row of UNFINISHED describes."""
        gate = row.get("gate")
        return cls(
            row["name"],
            bool(row["failed"]),
            row.get("reason") or "",
            bool(row.get("claimed")),
            gate if isinstance(gate, str) else "",
        )

    def dormant(self, worker: Mapping[str, str]) -> bool:
        """Return whether the worker leaves it alone, by design and for good, with these variables."""
        if self.failed or self.claimed or not self.gate:
            return False
        return not self.gate.startswith(GATES) or worker.get(self.gate) != "true"


def parse_rows(text: str) -> list[BackgroundMigration]:
    """Return the answer to UNFINISHED."""
    return [BackgroundMigration.of(json.loads(line)) for line in text.splitlines()]
