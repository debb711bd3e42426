"""Organizations, projects, keys and members: in PostgreSQL as the server has them, and brought to the engine.

PostgreSQL decides: a key that is deleted there is refused at once, one that another web container has created
works at once. The server remembers both for five minutes; `invalidate-all` is not needed here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from langfuse_embedded import ids
from langfuse_embedded.config import InitialProject
from langfuse_embedded.store.passwords import display_secret_key, hash_password, hash_secret_key
from langfuse_embedded.store.state import StateStore

from .postgres import Postgres

_FINGERPRINT = """select concat(
    (select md5(string_agg(row::text, '|' order by id)) from organizations row),
    (select md5(string_agg(row::text, '|' order by id)) from projects row),
    (select md5(string_agg(row::text, '|' order by id)) from api_keys row),
    (select md5(string_agg(row::text, '|' order by id)) from users row),
    (select md5(string_agg(row::text, '|' order by id)) from organization_memberships row))"""
_MS = "(extract(epoch from created_at) * 1000)::bigint"


@dataclass(frozen=True, slots=True)
class _Copy:
    """What is read in PostgreSQL, and how it is written in the engine's database."""

    read: str
    write: str


_COPIES = (
    _Copy(
        f"select id, name, {_MS} from organizations",
        """insert into organizations (id, name, created_at) values (?, ?, ?)
            on conflict do update set name = excluded.name""",
    ),
    _Copy(
        f"select id, org_id, name, coalesce(metadata, '{{}}')::text, {_MS} from projects",
        """insert into projects (id, organization_id, name, metadata, created_at) values (?, ?, ?, ?, ?)
            on conflict do update set name = excluded.name, metadata = excluded.metadata""",
    ),
    _Copy(
        f"select id, email, coalesce(name, ''), password, {_MS} from users",
        """insert into users (id, email, name, password_hash, created_at) values (?, ?, ?, ?, ?)
            on conflict do update set name = excluded.name, password_hash = excluded.password_hash""",
    ),
    _Copy(
        "select org_id, user_id, role from organization_memberships",
        "insert into memberships (organization_id, user_id, role) values (?, ?, ?)",
    ),
    _Copy(
        f"""select id, project_id, public_key, fast_hashed_secret_key, hashed_secret_key, display_secret_key,
            note, {_MS}, (extract(epoch from expires_at) * 1000)::bigint
            from api_keys where project_id is not null""",
        """insert into api_keys (id, project_id, public_key, secret_hash, slow_hash, display_secret, note,
            created_at, expires_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?)""",
    ),
)


@dataclass(frozen=True, slots=True)
class News:
    """What PostgreSQL says, table by table in the order of the copies."""

    fingerprint: str
    rows: list[list[tuple[Any, ...]]]


class Tenancy:
    """Raises psycopg.Error when PostgreSQL is away."""

    def __init__(self, postgres: Postgres, state: StateStore, salt: str) -> None:
        self._postgres = postgres
        self._state = state
        self._salt = salt
        self._known = ""

    def provision(self, wanted: InitialProject) -> None:
        """Create what is missing of what `LANGFUSE_INIT_*` ask for, by the rules of the server."""
        with self._postgres.transaction() as cursor:
            cursor.execute(
                "insert into organizations (id, name) values (%s, %s) on conflict do nothing",
                (wanted.organization_id, wanted.organization_name),
            )
            if wanted.project_id:
                cursor.execute(
                    "insert into projects (id, org_id, name) values (%s, %s, %s) on conflict do nothing",
                    (wanted.project_id, wanted.organization_id, wanted.project_name),
                )
            if wanted.project_id and wanted.public_key and wanted.secret_key:
                self._provision_key(cursor, wanted.project_id, wanted.public_key, wanted.secret_key)
            if wanted.user:
                self._provision_user(cursor, wanted)

    def news(self) -> News | None:
        """Return what the engine does not know yet, or None."""
        ((fingerprint,),) = self._postgres.rows(_FINGERPRINT)
        if fingerprint == self._known:
            return None
        return News(fingerprint, [self._postgres.rows(copy.read) for copy in _COPIES])

    def apply(self, news: News) -> None:
        """Bring the engine up to date, in the thread that its database belongs to."""
        with self._state.transaction():
            for table in ("api_keys", "memberships"):
                self._state.db.execute(f"delete from {table}")
            for copy, rows in zip(_COPIES, news.rows, strict=True):
                self._state.db.executemany(copy.write, rows)
        self._known = news.fingerprint

    def _provision_key(self, cursor: Any, project_id: str, public_key: str, secret_key: str) -> None:
        cursor.execute(
            "delete from api_keys where public_key = %s and project_id <> %s", (public_key, project_id)
        )
        cursor.execute(
            """insert into api_keys (id, project_id, note, public_key, hashed_secret_key,
                fast_hashed_secret_key, display_secret_key)
                values (%s, %s, 'Provisioned API Key', %s, %s, %s, %s) on conflict do nothing""",
            (
                ids.cuid(),
                project_id,
                public_key,
                hash_password(secret_key),
                hash_secret_key(secret_key, self._salt),
                display_secret_key(secret_key),
            ),
        )

    @staticmethod
    def _provision_user(cursor: Any, wanted: InitialProject) -> None:
        user = wanted.user
        assert user is not None
        cursor.execute(
            "insert into users (id, email, name, password) values (%s, %s, %s, %s) on conflict do nothing",
            (ids.cuid(), user.email, user.name, hash_password(user.password)),
        )
        cursor.execute(
            "insert into organization_memberships (id, org_id, user_id, role)"
            " select %s, %s, id, %s from users where email = %s"
            " on conflict (org_id, user_id) do update set role = excluded.role",
            (ids.cuid(), wanted.organization_id, user.role, user.email),
        )
