"""Writer command that deletes all observations and scores of a project."""

from __future__ import annotations

from typing import Any

from .context import OBSERVATION, SCORE, WriteContext
from .protocol import Payload


def reset_project(context: WriteContext, head: dict[str, Any], _body: Payload) -> int:
    """Delete all rows of `project`; return how many observations and scores there were."""
    project = context.project_key(head["project"])
    # A block holds spans of one trace, and so of one project.
    context.db.execute(
        "delete from blocks where id in (select block from observations where project = ?)", (project,)
    )
    count = 0
    for table, kind in (("observations", OBSERVATION), ("scores", SCORE)):
        rows = context.db.execute(
            f"delete from {table} where project = ? returning seq", (project,)
        ).fetchall()
        context.forget(kind, [row[0] for row in rows])
        count += len(rows)
    context.db.execute("delete from legacy_bodies where project = ?", (project,))
    return count


COMMANDS = {"reset_project": reset_project}
