"""Read the numbers of one project from Metrics API v2."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from scripts.api.client import AsyncApi
from scripts.api.errors import ApiError, ErrorAnswer, NoAnswer, reason_of
from scripts.api.keys import ProjectKey
from scripts.core.errors import StackError

from .catalog import of_agent
from .queries import Answers, Query, Rows, Scope, agents_in, rows_of_agent


class MetricsError(StackError):
    """The Metrics API did not answer a query.

    Attributes:
        reason: one of `refused` (4xx), `failed` (5xx), `timeout`, `unreachable`, `malformed`.
    """

    def __init__(self, project: str, error: Exception) -> None:
        super().__init__(
            f"The metrics of project {project} cannot be read: {reason_of(error)}.",
            fix="look at `make status` and `make logs`.",
        )
        self.reason = _reason(error)


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
    client: AsyncApi,
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
            return await ask_metrics(client, key, document)

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


async def ask_metrics(client: AsyncApi, key: ProjectKey, document: Mapping[str, Any]) -> Rows:
    """Return the answer to one query. Raises MetricsError."""
    try:
        rows: Rows = (await client.get("v2/metrics", keys=key.keys, query=json.dumps(document)))["data"]
    except (ApiError, KeyError, TypeError) as error:
        raise MetricsError(key.project, error) from error
    return rows


def _reason(error: Exception) -> str:
    if isinstance(error, NoAnswer):
        return "timeout" if error.kind.endswith("Timeout") else "unreachable"
    if isinstance(error, ErrorAnswer):
        return "refused" if error.status < 500 else "failed"
    return "malformed"
