"""Read the numbers of one project from Metrics API v2."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import httpx

from scripts.core.errors import StackError
from scripts.core.proxies import uses_proxy
from scripts.core.settings.envfile import read_env

from .queries import Answers, Query, Rows, Scope

METRICS = "/api/public/v2/metrics"


class MetricsError(StackError):
    """The Metrics API did not answer a query.

    Attributes:
        reason: one of `refused` (4xx), `failed` (5xx), `timeout`, `unreachable`, `malformed`.
    """

    def __init__(self, project: str, reason: str, detail: str) -> None:
        super().__init__(
            f"The metrics of project {project} cannot be read: {detail}.",
            fix="look at `make status` and `make logs`.",
        )
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ProjectKey:
    """A project and its API key."""

    project: str
    public_key: str
    secret_key: str = field(repr=False)

    @property
    def auth(self) -> tuple[str, str]:
        """User and password of HTTP Basic."""
        return self.public_key, self.secret_key


def project_keys(directory: Path) -> list[ProjectKey]:
    """Return the keys in a directory of credentials files, sorted by project."""
    found = []
    for path in sorted(directory.glob("*.env")):
        values = read_env(path).values()
        public, secret = values.get("LANGFUSE_PUBLIC_KEY"), values.get("LANGFUSE_SECRET_KEY")
        if public and secret:
            found.append(ProjectKey(path.stem, public, secret))
    return found


def why_no_keys(directory: Path) -> str:
    """Return why a directory gives no keys, for people."""
    if directory.exists() and not os.access(directory, os.R_OK | os.X_OK):
        return f"user {os.getuid()} may not read the credentials in {directory}"
    return f"there are no credentials in {directory}"


def open_client(base_url: str, timeout_s: float) -> httpx.AsyncClient:
    """Return a client for the server; the caller closes it."""
    return httpx.AsyncClient(base_url=base_url, timeout=timeout_s, trust_env=uses_proxy(base_url))


async def read_answers(
    client: httpx.AsyncClient,
    key: ProjectKey,
    queries: Sequence[Query],
    now: datetime,
    *,
    slots: asyncio.Semaphore,
) -> Answers:
    """Return the answers to all queries; `slots` bounds how many run at once. Raises MetricsError."""
    rows: dict[Scope, Rows] = {}
    for query in queries:  # one project asks one by one; projects run beside each other
        async with slots:
            rows[query.scope] = await _ask(client, key, query, now)
    return Answers(rows)


async def _ask(client: httpx.AsyncClient, key: ProjectKey, query: Query, now: datetime) -> Rows:
    try:
        answer = await client.get(METRICS, params={"query": json.dumps(query.document(now))}, auth=key.auth)
    except httpx.TimeoutException as error:
        raise MetricsError(key.project, "timeout", f"no answer in time ({type(error).__name__})") from error
    except httpx.TransportError as error:
        raise MetricsError(key.project, "unreachable", f"{type(error).__name__}: {error}") from error
    if answer.status_code != httpx.codes.OK:
        reason = "refused" if answer.is_client_error else "failed"
        raise MetricsError(key.project, reason, f"{answer.status_code} {' '.join(answer.text.split())[:300]}")
    try:
        rows: Rows = answer.json()["data"]
    except (ValueError, KeyError, TypeError) as error:
        raise MetricsError(key.project, "malformed", f"{type(error).__name__} in the answer") from error
    return rows
