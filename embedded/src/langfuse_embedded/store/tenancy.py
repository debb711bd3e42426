"""Organizations, projects, API keys and users: what exists, and whom a key stands for."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langfuse_embedded import ids
from langfuse_embedded.clock import now_ms
from langfuse_embedded.config import InitialProject, InitialUser

from .database import transaction
from .passwords import (
    display_secret_key,
    hash_password,
    hash_secret_key,
    hash_secret_key_slowly,
    password_fits,
)


@dataclass(frozen=True, slots=True)
class Principal:
    """Whom a request speaks for. Nobody has an empty project and no key."""

    project_id: str = ""
    public_key: str = ""
    scores_only: bool = False
    expires_at: int | None = None
    """Unix milliseconds at which the key ends."""

    @property
    def has_expired(self) -> bool:
        """Whether the key has ended by now."""
        return self.expires_at is not None and self.expires_at <= now_ms()


NOBODY = Principal()


@dataclass(frozen=True, slots=True)
class Project:
    """A project with the organization it belongs to."""

    id: str
    name: str
    metadata: dict[str, Any]
    organization_id: str
    organization_name: str


@dataclass(frozen=True, slots=True)
class User:
    """Someone who may sign in."""

    id: str
    email: str
    name: str


@dataclass(frozen=True, slots=True)
class Login:
    """What an e-mail address has to prove. Nobody's address costs as much time as someone's."""

    user_id: str | None
    password_hash: str

    def fits(self, password: str) -> bool:
        """Return whether the address is a user's and the password is theirs; takes about 50 ms."""
        return password_fits(password, self.password_hash) and self.user_id is not None

    @property
    def has_password(self) -> bool:
        """Whether there is a password that fits."""
        return self.password_hash != _NO_PASSWORD


# No password has this hash.
_NO_PASSWORD = f"scrypt${'0' * 32}${'0' * 64}"


class Tenancy:
    """Reads and writes the tenancy tables of `state.db`."""

    def __init__(self, connection: sqlite3.Connection, salt: str) -> None:
        self._db = connection
        self._salt = salt

    def key_by_secret(self, secret: str, public_key: str = "") -> Principal | None:
        """Return whom a secret key stands for, or ``None``.

        The public key sent along counts only where the hash is of another SALT, as on the server
        (web/src/features/public-api/server/apiAuth.ts:104 at v4.16.0): the row that it names is checked by
        its slow hash, and gets a hash of this SALT.
        """
        fast_hash = hash_secret_key(secret, self._salt)
        row = self._db.execute(
            "select id, project_id, public_key, expires_at, slow_hash from api_keys"
            " where secret_hash = ? and (expires_at is null or expires_at > ?)",
            (fast_hash, now_ms()),
        ).fetchone()
        if row is None:
            row = self._healed(secret, public_key, fast_hash) if public_key else None
        elif row["slow_hash"] is None:
            self._db.execute(
                "update api_keys set slow_hash = ? where id = ?", (hash_secret_key_slowly(secret), row["id"])
            )
        if row is None:
            return None
        return Principal(row["project_id"], row["public_key"], expires_at=row["expires_at"])

    def _healed(self, secret: str, public_key: str, fast_hash: str) -> sqlite3.Row | None:
        """Return the row of a key with a hash of another SALT, hashed anew; None for a wrong one."""
        row: sqlite3.Row | None = self._db.execute(
            "select id, project_id, public_key, expires_at, slow_hash from api_keys"
            " where public_key = ? and slow_hash is not null and (expires_at is null or expires_at > ?)",
            (public_key, now_ms()),
        ).fetchone()
        if row is None or not password_fits(secret, row["slow_hash"]):
            return None
        self._db.execute("update api_keys set secret_hash = ? where id = ?", (fast_hash, row["id"]))
        return row

    def key_by_public(self, public_key: str) -> Principal | None:
        """Return whom a public key alone stands for: it may send scores and nothing else."""
        row = self._db.execute(
            "select project_id, public_key, expires_at from api_keys"
            " where public_key = ? and (expires_at is null or expires_at > ?)",
            (public_key, now_ms()),
        ).fetchone()
        if row is None:
            return None
        return Principal(row["project_id"], row["public_key"], scores_only=True, expires_at=row["expires_at"])

    def project(self, project_id: str) -> Project | None:
        """Return a project, or ``None``."""
        row = self._db.execute(
            "select p.id, p.name, p.metadata, o.id as organization_id, o.name as organization_name"
            " from projects p join organizations o on o.id = p.organization_id where p.id = ?",
            (project_id,),
        ).fetchone()
        if row is None:
            return None
        return Project(
            row["id"],
            row["name"],
            json.loads(row["metadata"]),
            row["organization_id"],
            row["organization_name"],
        )

    def project_ids(self) -> list[str]:
        """Return the ids of all projects, oldest first."""
        return [row[0] for row in self._db.execute("select id from projects order by created_at, id")]

    def login(self, email: str) -> Login:
        """Return what has to be proved to sign in with an e-mail address, whoever's it is."""
        row = self._db.execute(
            "select id, password_hash from users where email = ?", (email.strip().lower(),)
        ).fetchone()
        return Login(row["id"], row["password_hash"]) if row else Login(None, _NO_PASSWORD)

    def add_user(self, email: str, name: str, organization_id: str, role: str) -> str:
        """Add someone without a password, to an organization if it exists; return the id."""
        user_id = ids.cuid()
        with transaction(self._db):
            self._db.execute(
                "insert into users (id, email, name, password_hash, created_at) values (?, ?, ?, ?, ?)",
                (user_id, email.strip().lower(), name, _NO_PASSWORD, now_ms()),
            )
            self._db.execute(
                "insert into memberships (organization_id, user_id, role)"
                " select id, ?, ? from organizations where id = ?",
                (user_id, role, organization_id),
            )
        return user_id

    def user(self, user_id: str) -> User | None:
        """Return a user, or ``None``."""
        row = self._db.execute("select id, email, name from users where id = ?", (user_id,)).fetchone()
        return User(row["id"], row["email"], row["name"]) if row else None

    def has_users(self) -> bool:
        """Return whether anyone can sign in at all."""
        return self._db.execute("select 1 from users limit 1").fetchone() is not None

    def projects_of(self, user_id: str) -> list[Project]:
        """Return the projects that a user may see."""
        rows = self._db.execute(
            "select p.id from projects p join memberships m on m.organization_id = p.organization_id"
            " where m.user_id = ? order by p.created_at, p.id",
            (user_id,),
        ).fetchall()
        return [project for row in rows if (project := self.project(row["id"]))]

    def delete_keys(self, project_ids: Sequence[str]) -> None:
        """Delete all keys of projects, inside the caller's transaction."""
        self._db.executemany("delete from api_keys where project_id = ?", [(one,) for one in project_ids])

    def is_member(self, project_id: str, user_id: str) -> bool:
        """Return whether a user belongs to the organization of a project."""
        row = self._db.execute(
            "select 1 from memberships m join projects p on p.organization_id = m.organization_id"
            " where p.id = ? and m.user_id = ?",
            (project_id, user_id),
        ).fetchone()
        return row is not None

    def role_in(self, project_id: str, user_id: str) -> str | None:
        """Return the role of a user in the organization of a project, ``None`` without one."""
        row = self._db.execute(
            "select m.role from memberships m join projects p on p.organization_id = m.organization_id"
            " where p.id = ? and m.user_id = ?",
            (project_id, user_id),
        ).fetchone()
        return row["role"] if row else None

    def provision(self, wanted: InitialProject) -> list[str]:
        """Create what is missing of an organization, its project, key and user; return what was created.

        The rules are those of `LANGFUSE_INIT_*` on the server: names of what exists are left alone, a key
        that belongs to another project is moved, a changed secret of an existing public key is ignored, and
        a user's password is set once.
        """
        created: list[str] = []
        with transaction(self._db):
            self._provision_organization(wanted, created)
            if wanted.project_id:
                self._provision_project(wanted, created)
            if wanted.user:
                self._provision_user(wanted.organization_id, wanted.user, created)
        return created

    def update_project(self, project_id: str, name: str, metadata: dict[str, Any]) -> bool:
        """Give a project another name and metadata; return whether there is such a project."""
        cursor = self._db.execute(
            "update projects set name = ?, metadata = ? where id = ?",
            (name, json.dumps(metadata), project_id),
        )
        return bool(cursor.rowcount)

    def organizations(self) -> list[dict[str, str]]:
        """Return id and name of every organization."""
        return [dict(row) for row in self._db.execute("select id, name from organizations order by id")]

    def rename_organization(self, organization_id: str, name: str) -> bool:
        """Give an organization another name; return whether there is such an organization."""
        cursor = self._db.execute("update organizations set name = ? where id = ?", (name, organization_id))
        return bool(cursor.rowcount)

    def revoke_key(self, public_key: str) -> bool:
        """Delete one key; return whether there was one."""
        return bool(self._db.execute("delete from api_keys where public_key = ?", (public_key,)).rowcount)

    def set_password(self, email: str, password: str) -> bool:
        """Give a user another password; return whether there is such a user."""
        cursor = self._db.execute(
            "update users set password_hash = ? where email = ?",
            (hash_password(password), email.strip().lower()),
        )
        return bool(cursor.rowcount)

    def remove_member(self, organization_id: str, email: str) -> bool:
        """Take a user out of an organization; return whether it was a member."""
        cursor = self._db.execute(
            "delete from memberships where organization_id = ?"
            " and user_id in (select id from users where email = ?)",
            (organization_id, email.lower()),
        )
        return bool(cursor.rowcount)

    def members(self) -> list[dict[str, str]]:
        """Return all memberships: organization, e-mail, name and role."""
        rows = self._db.execute(
            "select m.organization_id as organizationId, u.email, u.name, m.role from memberships m"
            " join users u on u.id = m.user_id order by m.organization_id, u.email"
        )
        return [dict(row) for row in rows]

    def _provision_organization(self, wanted: InitialProject, created: list[str]) -> None:
        cursor = self._db.execute(
            "insert into organizations (id, name, created_at) values (?, ?, ?) on conflict do nothing",
            (wanted.organization_id, wanted.organization_name, now_ms()),
        )
        if cursor.rowcount:
            created.append("organization")

    def _provision_project(self, wanted: InitialProject, created: list[str]) -> None:
        cursor = self._db.execute(
            "insert into projects (id, organization_id, name, created_at) values (?, ?, ?, ?)"
            " on conflict do nothing",
            (wanted.project_id, wanted.organization_id, wanted.project_name, now_ms()),
        )
        if cursor.rowcount:
            created.append("project")
        if not (wanted.public_key and wanted.secret_key):
            return
        self._db.execute(
            "delete from api_keys where public_key = ? and project_id <> ?",
            (wanted.public_key, wanted.project_id),
        )
        cursor = self._db.execute(
            "insert into api_keys (id, project_id, public_key, secret_hash, slow_hash, display_secret, note,"
            " created_at) values (?, ?, ?, ?, ?, ?, 'Provisioned API Key', ?) on conflict do nothing",
            (
                ids.cuid(),
                wanted.project_id,
                wanted.public_key,
                hash_secret_key(wanted.secret_key, self._salt),
                hash_secret_key_slowly(wanted.secret_key),
                display_secret_key(wanted.secret_key),
                now_ms(),
            ),
        )
        if cursor.rowcount:
            created.append("apiKey")

    def _provision_user(self, organization_id: str, user: InitialUser, created: list[str]) -> None:
        row = self._db.execute("select id from users where email = ?", (user.email,)).fetchone()
        user_id: str
        if row:
            user_id = row["id"]
        else:
            user_id = ids.cuid()
            self._db.execute(
                "insert into users (id, email, name, password_hash, created_at) values (?, ?, ?, ?, ?)",
                (user_id, user.email, user.name, hash_password(user.password), now_ms()),
            )
            created.append("user")
        self._db.execute(
            "insert into memberships (organization_id, user_id, role) values (?, ?, ?)"
            " on conflict do update set role = excluded.role",
            (organization_id, user_id, user.role),
        )
