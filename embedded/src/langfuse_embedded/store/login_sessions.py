"""Who is signed in to the viewer: sessions that end on the server, in a file that no backup takes along."""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from .database import open_database

LIFETIME_SECONDS = 7 * 86_400
_MOST_PER_USER = 50
_SCHEMA = """
create table if not exists login_sessions (
    -- SHA-256 of the token: who can read the file cannot sign in with it
    id blob primary key,
    user_id text not null,
    -- Unix seconds
    expires_at integer not null
) strict, without rowid
"""


class LoginSessions:
    """Sessions by their token. A backup that is restored signs nobody in again who has signed out since."""

    def __init__(self, data_dir: Path, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._db: sqlite3.Connection = open_database(data_dir / "login_sessions.db")
        self._db.execute(_SCHEMA)

    def begin(self, user_id: str) -> str:
        """Start a session of a user; return its token. The oldest of too many sessions end."""
        token = secrets.token_urlsafe(32)
        now = int(self._clock())
        self._db.execute("delete from login_sessions where expires_at <= ?", (now,))
        self._db.execute(
            "insert into login_sessions (id, user_id, expires_at) values (?, ?, ?)",
            (_id(token), user_id, now + LIFETIME_SECONDS),
        )
        self._db.execute(
            "delete from login_sessions where user_id = ?1 and id not in (select id from login_sessions"
            " where user_id = ?1 order by expires_at desc limit ?2)",
            (user_id, _MOST_PER_USER),
        )
        return token

    def user_id(self, token: str) -> str | None:
        """Return the user of a session; ``None`` when it has ended or never was."""
        row = self._db.execute(
            "select user_id from login_sessions where id = ? and expires_at > ?",
            (_id(token), int(self._clock())),
        ).fetchone()
        return row["user_id"] if row else None

    def end(self, token: str) -> None:
        """End a session."""
        self._db.execute("delete from login_sessions where id = ?", (_id(token),))

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def _id(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
