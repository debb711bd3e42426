"""What alerts say now."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

from scripts.api.client import AsyncApi
from scripts.api.keys import ProjectKey, project_keys
from scripts.core.errors import UsageError
from scripts.engines.context import Context

from .evaluate import Finding, Values, evaluate
from .model import AlertFile
from .queries import plan_queries, values
from .reader import read_answers
from .series import all_series

TIMEOUT_S = 30.0
_IN_PARALLEL = 4


async def read_values(
    file: AlertFile, keys: Sequence[ProjectKey], base_url: str, now: datetime
) -> dict[str, Values]:
    """Return the values of all series of each project at the time `now`. Raises MetricsError."""
    series = all_series(file)
    queries = plan_queries(series)
    slots = asyncio.Semaphore(_IN_PARALLEL)
    async with AsyncApi(base_url, timeout_s=TIMEOUT_S) as client:
        answers = await asyncio.gather(
            *(read_answers(client, key, queries, now, slots=slots) for key in keys)
        )
    return {
        key.project: {one: values(one, answer, now) for one in series}
        for key, answer in zip(keys, answers, strict=True)
    }


def find(file: AlertFile, read: Mapping[str, Values]) -> list[Finding]:
    """Return what every alert says about every project."""
    return [
        finding
        for project, own in read.items()
        for alert in file.alerts
        for finding in evaluate(alert, project, own, file.values(project))
    ]


def selected_keys(context: Context, project: str) -> list[ProjectKey]:
    """Return the keys of one project, or of all. Raises UsageError where there is none."""
    directory = context.layout.credentials_dir
    known = project_keys(directory)
    keys = [key for key in known if project in ("", key.project)]
    if not keys:
        named = f" of project {project}" if project else ""
        there = ", ".join(key.project for key in known)
        raise UsageError(
            f"There are no credentials{named} in {context.layout.shown(directory)}.",
            fix=f"choose one with PROJECT=: {there}."
            if known
            else "run `make up`, which creates projects and keys.",
        )
    return keys
