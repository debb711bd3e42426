"""LLM connections in `state.db`; what is secret of them is sealed (`secrets.py`)."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from langfuse_embedded import ids
from langfuse_embedded.clock import now_ms

from .documents import dump, dump_or_none, load, load_or_none
from .state import HasDb


@dataclass(frozen=True, slots=True)
class ConnectionValues:
    """What a client says of a connection, the secret shortened to what may be shown."""

    adapter: str
    display_secret: str
    base_url: str | None
    custom_models: list[str]
    with_default_models: bool
    extra_header_keys: list[str]
    config: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class LlmConnection:
    """A connection to a model provider; times in Unix milliseconds."""

    id: str
    provider: str
    values: ConnectionValues
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class DefaultModel:
    """The model of a project's evaluators that name none; `parameters` go along with each question."""

    connection: LlmConnection
    model: str
    parameters: dict[str, float]


class LlmConnectionStore:
    """Reads and writes connections. Writing methods run inside the caller's transaction."""

    def __init__(self, state: HasDb) -> None:
        self._db = state.db

    def by_provider(self, project_id: str, provider: str) -> LlmConnection | None:
        """Return the connection to a provider."""
        return self._one("provider = ?", project_id, provider)

    def by_id(self, project_id: str, connection_id: str) -> LlmConnection | None:
        """Return a connection by its id."""
        return self._one("id = ?", project_id, connection_id)

    def page(self, project_id: str, limit: int, offset: int) -> tuple[list[LlmConnection], int]:
        """Return one page, newest first, and how many there are."""
        total = self._db.execute(
            "select count(*) from llm_connections where project_id = ?", (project_id,)
        ).fetchone()[0]
        rows = self._db.execute(
            "select * from llm_connections where project_id = ?"
            " order by created_at desc, rowid desc limit ? offset ?",
            (project_id, limit, offset),
        )
        return [_connection(row) for row in rows], total

    def sealed(self, connection: LlmConnection) -> str | None:
        """Return the sealed `secretKey` and `extraHeaders`; ``None`` where they were not kept."""
        row = self._db.execute("select sealed from llm_connections where id = ?", (connection.id,)).fetchone()
        found: str | None = row[0] if row else None
        return found

    def save(self, project_id: str, provider: str, values: ConnectionValues, sealed: str) -> None:
        """Create the connection to a provider, or replace its values and its sealed secrets."""
        now = now_ms()
        self._db.execute(
            "insert into llm_connections (id, project_id, provider, adapter, display_secret, base_url,"
            " custom_models, with_default_models, extra_header_keys, config, created_at, updated_at, sealed)"
            " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " on conflict (project_id, provider) do update set adapter = excluded.adapter,"
            " display_secret = excluded.display_secret, base_url = excluded.base_url,"
            " custom_models = excluded.custom_models, with_default_models = excluded.with_default_models,"
            " extra_header_keys = excluded.extra_header_keys, config = excluded.config,"
            " updated_at = excluded.updated_at, sealed = excluded.sealed",
            (
                ids.cuid(),
                project_id,
                provider,
                values.adapter,
                values.display_secret,
                values.base_url,
                dump(values.custom_models),
                values.with_default_models,
                dump(values.extra_header_keys),
                dump_or_none(values.config),
                now,
                now,
                sealed,
            ),
        )

    def delete(self, connection: LlmConnection) -> None:
        """Delete a connection."""
        self._db.execute("delete from llm_connections where id = ?", (connection.id,))

    def default_model(self, project_id: str) -> DefaultModel | None:
        """Return the default model of a project."""
        row = self._db.execute(
            "select connection_id, model, parameters from default_llm_models where project_id = ?",
            (project_id,),
        ).fetchone()
        connection = self.by_id(project_id, row["connection_id"]) if row else None
        return DefaultModel(connection, row["model"], load(row["parameters"])) if connection else None

    def set_default_model(self, project_id: str, chosen: DefaultModel) -> None:
        """Set the default model of a project, or replace it."""
        self._db.execute(
            "insert or replace into default_llm_models (project_id, connection_id, model, parameters)"
            " values (?, ?, ?, ?)",
            (project_id, chosen.connection.id, chosen.model, dump(chosen.parameters)),
        )

    def delete_default_model(self, project_id: str) -> None:
        """Leave a project without a default model."""
        self._db.execute("delete from default_llm_models where project_id = ?", (project_id,))

    def _one(self, condition: str, *values: Any) -> LlmConnection | None:
        row = self._db.execute(
            f"select * from llm_connections where project_id = ? and {condition}", values
        ).fetchone()
        return _connection(row) if row else None


def _connection(row: sqlite3.Row) -> LlmConnection:
    return LlmConnection(
        id=row["id"],
        provider=row["provider"],
        values=ConnectionValues(
            adapter=row["adapter"],
            display_secret=row["display_secret"],
            base_url=row["base_url"],
            custom_models=load(row["custom_models"]),
            with_default_models=bool(row["with_default_models"]),
            extra_header_keys=load(row["extra_header_keys"]),
            config=load_or_none(row["config"]),
        ),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
