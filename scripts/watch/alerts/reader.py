"""Read the numbers of one project from Metrics API v2."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from scripts.api.proxies import uses_proxy
from scripts.core.errors import StackError
from scripts.settings.envfile import read_env

from .catalog import of_agent
from .queries import Answers, Query, Rows, Scope, agents_in, rows_of_agent

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


@dataclass(slots=True)
class KeptByAgent:
    """What was read by agent, which takes two queries for each agent, to be used again for a while.

    Attributes:
        max_age_s: how old an answer may be.
    """

    max_age_s: float
    clock: Callable[[], float] = time.monotonic
    _answers: dict[tuple[str, Query], tuple[float, Rows]] = field(default_factory=dict)

    def find(self, project: str, query: Query) -> Rows | None:
        """Return the last answer unless it is too old."""
        taken, rows = self._answers.get((project, query), (float("-inf"), ()))
        return rows if self.clock() - taken < self.max_age_s else None

    def keep(self, project: str, query: Query, rows: Rows) -> None:
        """Keep an answer, and drop those that are too old."""
        now = self.clock()
        self._answers = {
            key: (taken, kept) for key, (taken, kept) in self._answers.items() if now - taken < self.max_age_s
        }
        self._answers[project, query] = now, rows


async def read_answers(
    client: httpx.AsyncClient,
    key: ProjectKey,
    queries: Sequence[Query],
    now: datetime,
    *,
    slots: asyncio.Semaphore,
    kept: KeptByAgent | None = None,
) -> Answers:
    """Return the answers to all queries; `slots` bounds how many run at once. Raises MetricsError."""

    asked = 0

    async def ask(document: dict[str, Any]) -> Rows:
        nonlocal asked
        asked += 1
        async with slots:
            return await _ask(client, key, document)

    rows: dict[Scope, Rows] = {}
    for query in queries:  # one project asks one by one; projects run beside each other
        if not query.scope.by_metadata:
            rows[query.scope] = await ask(query.document(now))
            continue
        found = kept.find(key.project, query) if kept else None
        if found is None:
            found = [
                row
                for agent in agents_in(await ask(query.agents_document(now)))
                for condition in of_agent(agent)
                for row in rows_of_agent(agent, await ask(query.document(now, condition)))
            ]
            if kept:
                kept.keep(key.project, query, found)
        rows[query.scope] = found
    return Answers(rows, asked)


async def _ask(client: httpx.AsyncClient, key: ProjectKey, document: dict[str, Any]) -> Rows:
    try:
        answer = await client.get(METRICS, params={"query": json.dumps(document)}, auth=key.auth)
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
