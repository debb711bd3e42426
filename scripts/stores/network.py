"""The stores of a stack over its network, for what runs in one of its containers and has no Docker.

Takes the place of `Compose` below `Postgres` and `ClickHouse`: they hand over statements and read texts.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import httpx

from scripts.core.errors import CommandFailed

from .errors import StoreError

POSTGRES, CLICKHOUSE = "postgres", "clickhouse"
_TIMEOUT_S = 60.0
_AS_TEXT = (16, 114, 3802)
"""Types of PostgreSQL that are handed on as it writes them, as psql does: bool, json, jsonb."""


@dataclass(frozen=True, slots=True)
class NetworkServices:
    """Runs statements where DATABASE_URL and CLICKHOUSE_URL lead."""

    settings: Mapping[str, str]

    def execute(
        self, service: str, _argv: Sequence[str], stdin: str = "", timeout_s: float = _TIMEOUT_S
    ) -> str:
        """Return what a store answers, as its own client would print it.

        Raises:
            StackError: it does not answer, or refuses.
        """
        ask = {POSTGRES: self._postgres, CLICKHOUSE: self._clickhouse}[service]
        return ask(stdin, timeout_s)

    def _postgres(self, statement: str, timeout_s: float) -> str:
        try:
            native: Any = importlib.import_module("pg8000.native")
        except ImportError as error:
            raise StoreError(
                "PostgreSQL cannot be asked from here: pg8000 is not installed.",
                fix="it is in the exporter's image (requirements/exporter.lock).",
            ) from error
        try:
            with native.Connection(**_login(self.settings["DATABASE_URL"]), timeout=timeout_s) as connection:
                for kind in _AS_TEXT:
                    connection.register_in_adapter(kind, str)
                rows = connection.run(statement) or []
        except (native.Error, OSError, ValueError) as error:
            raise StoreError(
                f"PostgreSQL does not answer ({type(error).__name__}: {error}).", fix="make status."
            ) from error
        return "".join("|".join("" if value is None else str(value) for value in row) + "\n" for row in rows)

    def _clickhouse(self, statement: str, timeout_s: float) -> str:
        settings = self.settings
        try:
            answer = httpx.post(
                settings["CLICKHOUSE_URL"],
                params={"database": settings["CLICKHOUSE_DB"]},
                content=statement.encode(),
                headers={
                    "X-ClickHouse-User": settings["CLICKHOUSE_USER"],
                    "X-ClickHouse-Key": settings["CLICKHOUSE_PASSWORD"],
                },
                timeout=timeout_s,
                trust_env=False,
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise StoreError(
                f"ClickHouse does not answer ({type(error).__name__}: {error}).", fix="make status."
            ) from error
        if answer.is_error:
            raise CommandFailed(["clickhouse"], answer.status_code, answer.text)
        return answer.text


def _login(url: str) -> dict[str, Any]:
    """Return what a URL of PostgreSQL means to pg8000."""
    parts = urlsplit(url)
    mode = parse_qs(parts.query).get("sslmode", [""])[-1]
    return {
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "host": parts.hostname or "",
        "port": parts.port or 5432,
        "database": unquote(parts.path.lstrip("/")),
        # As Prisma: TLS where it is asked for.
        "ssl_context": True if mode in ("require", "verify-ca", "verify-full") else None,
    }
