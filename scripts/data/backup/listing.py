"""`backups`: list the backups in the repository."""

from __future__ import annotations

import json
from collections.abc import Sequence

from scripts.core.errors import EXIT_OK
from scripts.engines.context import Context

from .repository import Snapshot, open_repository
from .sets import size_text


def backups(context: Context, *, as_json: bool) -> int:
    """The command. Shows complete backups only."""
    snapshots = open_repository(context, context.lenient_settings()).snapshots()
    if as_json:
        context.console.print(json.dumps([row(snapshot) for snapshot in snapshots], indent=2))
    else:
        context.console.rows(lines(snapshots) or [("Backups", "none yet (make backup)")])
    return EXIT_OK


def row(snapshot: Snapshot) -> dict[str, object]:
    """Return a backup for programs."""
    return {
        "id": snapshot.id,
        "time": snapshot.time.isoformat(),
        "stack": snapshot.stack,
        **snapshot.facts,
    }


def lines(snapshots: Sequence[Snapshot]) -> list[tuple[str, str]]:
    """Return the backups for people, newest first."""
    return [(snapshot.short_id, _text(snapshot)) for snapshot in reversed(snapshots)]


def _text(snapshot: Snapshot) -> str:
    facts = snapshot.facts
    parts = (
        f"{snapshot.time:%Y-%m-%d %H:%M:%S %Z}",
        snapshot.stack,
        facts.get("engine", ""),
        f"{int(facts.get('observations', 0)):,} observations",
        size_text(int(facts.get("bytes", 0))),
    )
    return "  ".join(parts)
