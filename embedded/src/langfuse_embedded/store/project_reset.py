"""Delete what a project holds in `state.db`; the project itself, its keys and its members stay."""

from __future__ import annotations

import sqlite3

# What refers to another table comes before it; the rest goes with its parent.
_TABLES = (
    "trace_media",
    "dataset_item_media",
    "media",
    "prompts",
    "datasets",
    "annotation_queues",
    "score_configs",
    "models",
    "comments",
    "default_llm_models",
    "llm_connections",
    "evaluation_rules",
    "evaluators",
    "dashboard_widgets",
    "dashboards",
)


def reset_state(db: sqlite3.Connection, project_id: str) -> list[str]:
    """Delete the rows of a project inside the caller's transaction; return the ids of its media."""
    media = [row[0] for row in db.execute("select id from media where project_id = ?", (project_id,))]
    for table in _TABLES:
        db.execute(f"delete from {table} where project_id = ?", (project_id,))
    return media
