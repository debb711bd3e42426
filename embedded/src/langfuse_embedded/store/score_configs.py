"""Score configs in `state.db`: what scores of a name may look like."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

import orjson

_COLUMNS = (
    "id, project_id, name, data_type, is_archived, description, min_value, max_value, categories,"
    " created_at, updated_at"
)


@dataclass(frozen=True, slots=True)
class ScoreConfig:
    """A score config. `categories` are `{"label": text, "value": number}`; times are Unix milliseconds."""

    id: str
    project_id: str
    name: str
    data_type: str
    created_at: int
    updated_at: int
    is_archived: bool = False
    description: str | None = None
    min_value: float | None = None
    max_value: float | None = None
    categories: list[dict[str, Any]] | None = None


class ScoreConfigs:
    """Reads and writes score configs over one connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def save(self, config: ScoreConfig) -> None:
        """Create a config, or replace the one with its id."""
        categories = None if config.categories is None else orjson.dumps(config.categories).decode()
        self._db.execute(
            f"insert or replace into score_configs ({_COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                config.id,
                config.project_id,
                config.name,
                config.data_type,
                config.is_archived,
                config.description,
                config.min_value,
                config.max_value,
                categories,
                config.created_at,
                config.updated_at,
            ),
        )

    def get(self, project_id: str, config_id: str) -> ScoreConfig | None:
        """Return a config of a project, or ``None``."""
        row = self._db.execute(
            f"select {_COLUMNS} from score_configs where id = ? and project_id = ?", (config_id, project_id)
        ).fetchone()
        return _config(row) if row else None

    def page(self, project_id: str, limit: int, offset: int) -> list[ScoreConfig]:
        """Return one page of a project's configs, newest first."""
        rows = self._db.execute(
            f"select {_COLUMNS} from score_configs where project_id = ?"
            " order by created_at desc, rowid desc limit ? offset ?",
            (project_id, limit, offset),
        )
        return [_config(row) for row in rows]

    def count(self, project_id: str) -> int:
        """Return how many configs a project has."""
        number: int = self._db.execute(
            "select count(*) from score_configs where project_id = ?", (project_id,)
        ).fetchone()[0]
        return number


def _config(row: sqlite3.Row) -> ScoreConfig:
    return ScoreConfig(
        id=row["id"],
        project_id=row["project_id"],
        name=row["name"],
        data_type=row["data_type"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        is_archived=bool(row["is_archived"]),
        description=row["description"],
        min_value=row["min_value"],
        max_value=row["max_value"],
        categories=orjson.loads(row["categories"]) if row["categories"] else None,
    )
