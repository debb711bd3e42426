"""Which secrets can be rotated, what that does to people and programs, and which cannot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from scripts.engines.base import EngineName

COMPOSE = frozenset({EngineName.COMPOSE})
BOTH = frozenset(EngineName)


class Place(StrEnum):
    """Where else than in `.env` a secret is kept, and has to be changed."""

    NOWHERE = "nowhere"
    """Whoever uses it reads it when it starts."""
    POSTGRES = "postgres"
    """In the catalog of the bundled PostgreSQL, which ignores the variable once it has data."""
    USERS = "users"
    """Hashed, in the table of users."""
    BACKUPS = "backups"
    """In the repository of backups."""
    ELSEWHERE = "elsewhere"
    """With someone else, who has to give the new value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotatable:
    """Secrets that change together.

    Attributes:
        names: the settings.
        effect: what people and programs notice.
        own_store: settings that make the store behind it one of the operator's own; its new password is then
            given, not made.
    """

    names: tuple[str, ...]
    effect: str
    place: Place = Place.NOWHERE
    own_store: tuple[str, ...] = ()
    engines: frozenset[EngineName] = BOTH


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a secret cannot be rotated, and what to do instead."""

    why: str
    instead: str


_PAUSE = "Web and worker start anew: a minute without answers, nothing acknowledged is lost."

ROTATABLE: tuple[Rotatable, ...] = (
    Rotatable(
        names=("NEXTAUTH_SECRET",),
        effect="Everybody is signed out and signs in again. API keys go on working. The server starts anew.",
    ),
    Rotatable(
        names=("ADMIN_API_KEY",),
        effect="The former key dies at once: your scripts that replay events or read queues need the new "
        "one. The server starts anew.",
    ),
    Rotatable(
        names=("POSTGRES_PASSWORD",),
        effect=f"Your own clients of the database need the new password. {_PAUSE}",
        place=Place.POSTGRES,
        own_store=("DATABASE_URL",),
        engines=COMPOSE,
    ),
    Rotatable(
        names=("POSTGRES_APP_PASSWORD",),
        effect=_PAUSE,
        own_store=("DATABASE_URL",),
        engines=COMPOSE,
    ),
    Rotatable(
        names=("POSTGRES_BACKUP_PASSWORD",),
        effect=f"PostgreSQL starts anew. {_PAUSE}",
        engines=COMPOSE,
    ),
    Rotatable(
        names=("CLICKHOUSE_PASSWORD",),
        effect=f"Your own clients of ClickHouse need the new password. {_PAUSE}",
        own_store=("CLICKHOUSE_URL",),
        engines=COMPOSE,
    ),
    Rotatable(
        names=("REDIS_AUTH",),
        effect=f"Valkey starts anew and keeps the jobs that wait. {_PAUSE}",
        own_store=("REDIS_HOST", "REDIS_CONNECTION_STRING"),
        engines=COMPOSE,
    ),
    Rotatable(
        names=("S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"),
        effect=f"Links to media and exports that were given out already stop working. {_PAUSE}",
        own_store=("S3_ENDPOINT",),
        engines=COMPOSE,
    ),
    Rotatable(
        names=("MONITOR_PASSWORD",),
        effect="Programs that read your metrics need the new password. Monitoring, ClickHouse and Valkey "
        f"start anew. {_PAUSE}",
        engines=COMPOSE,
    ),
    Rotatable(
        names=("S3_INTERNAL_KEY",),
        effect=f"SeaweedFS starts anew. {_PAUSE}",
        engines=COMPOSE,
    ),
    Rotatable(
        names=("LANGFUSE_INIT_USER_PASSWORD",),
        effect="The former password no longer signs in. Sessions that are open stay open; "
        "to end them, rotate NEXTAUTH_SECRET too.",
        place=Place.USERS,
    ),
    Rotatable(
        names=("BACKUP_PASSWORD",),
        effect="The former password no longer opens the backups, old ones included. "
        "Replace it wherever you keep a copy.",
        place=Place.BACKUPS,
    ),
)

_FROM_ELSEWHERE = "Get the new value from whoever issued the former one; revoke that there afterwards."

REFUSED: Mapping[str, Refusal] = {
    "ENCRYPTION_KEY": Refusal(
        why="ENCRYPTION_KEY cannot be rotated: stored LLM keys and webhook secrets are encrypted with it, "
        "and "
        "the server has no way to encrypt them anew.",
        instead="if it leaked, replace what it protects: have new LLM keys made by their providers and enter "
        "them in the user interface, then new webhook secrets; for another key, move to a new stack "
        "(docs/how-to/rotate.md)",
    ),
    "SALT": Refusal(
        why="SALT cannot be rotated, and nothing would be gained: it is part of the fast hash of each API "
        "key, and of nothing that opens anything.",
        instead="if the database leaked with it, rotate the API keys: raise `rotation` of each key in "
        "config/stack.yaml, then make bootstrap. To change it all the same, write another one into .env, "
        "then make up: the first call with each key makes its hash anew (docs/how-to/rotate.md)",
    ),
    "GRAFANA_ADMIN_PASSWORD": Refusal(
        why="GRAFANA_ADMIN_PASSWORD cannot be rotated from here: Grafana takes it at its first start, "
        "then it keeps its own.",
        instead="change it in Grafana (profile, change password), then write the new one into .env "
        "(docs/how-to/rotate.md)",
    ),
}


def find(name: str, secret_settings: frozenset[str]) -> Rotatable | None:
    """Return what a setting belongs to; a secret that others issue is one of its own. None: unknown."""
    for one in ROTATABLE:
        if name in one.names:
            return one
    if name in secret_settings and name not in REFUSED:
        return Rotatable(names=(name,), effect=_FROM_ELSEWHERE, place=Place.ELSEWHERE, engines=COMPOSE)
    return None
