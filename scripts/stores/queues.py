"""The queues of a compose stack: how much of what was acknowledged is not stored yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from scripts.api.client import Api
from scripts.api.errors import ApiError, reason_of
from scripts.core.errors import EngineError

_TIMEOUT_S = 20.0
_WAITING = ("waiting", "active", "delayed", "prioritized", "paused")
_AT_WORK = ("waiting", "active", "prioritized")


def depths(base_url: str, admin_api_key: str) -> dict[str, int]:
    """Return the jobs that wait or are worked on, by queue of ingestion; queues without jobs are left out.

    Raises:
        EngineError: the server does not say.
    """
    return _depths(base_url, admin_api_key, ingestion=True)


def _depths(base_url: str, admin_api_key: str, *, ingestion: bool) -> dict[str, int]:
    try:
        with Api(base_url, admin_api_key, timeout_s=_TIMEOUT_S) as api:
            rows: list[Mapping[str, Any]] = api.get("/api/admin/bullmq")
        found = {
            row["queueName"]: _jobs(row, _WAITING if ingestion else _AT_WORK)
            for row in rows
            if ("ingestion" in row["queueName"]) is ingestion
        }
    except (ApiError, LookupError, TypeError) as error:
        raise EngineError(
            f"The queues of {base_url} cannot be read ({reason_of(error)}).",
            fix="look at `make status`; ADMIN_API_KEY must be the one that the server runs with.",
        ) from error
    return {name: jobs for name, jobs in found.items() if jobs}


def other_depths(base_url: str, admin_api_key: str) -> dict[str, int]:
    """Return the same of the other queues, such as deletions, without jobs that wait for their time.

    Raises:
        EngineError: the server does not say.
    """
    return _depths(base_url, admin_api_key, ingestion=False)


def _jobs(row: Mapping[str, Any], states: Iterable[str]) -> int:
    counts: Mapping[str, int] = row.get("jobCount") or {}
    return sum(counts.get(state, 0) for state in states)
