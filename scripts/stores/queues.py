"""The queues of a compose stack: how much of what was acknowledged is not stored yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scripts.api.client import Api
from scripts.api.errors import ApiError, reason_of
from scripts.core.errors import EngineError

_TIMEOUT_S = 20.0
_WAITING = ("waiting", "active", "delayed", "prioritized", "paused")


def depths(base_url: str, admin_api_key: str) -> dict[str, int]:
    """Return the jobs that wait or are worked on, by queue of ingestion; queues without jobs are left out.

    Raises:
        EngineError: the server does not say.
    """
    try:
        with Api(base_url, admin_api_key, timeout_s=_TIMEOUT_S) as api:
            rows: list[Mapping[str, Any]] = api.get("/api/admin/bullmq")
        found = {row["queueName"]: _jobs(row) for row in rows if "ingestion" in row["queueName"]}
    except (ApiError, LookupError, TypeError) as error:
        raise EngineError(
            f"The queues of {base_url} cannot be read ({reason_of(error)}).",
            fix="look at `make status`; ADMIN_API_KEY must be the one that the server runs with.",
        ) from error
    return {name: jobs for name, jobs in found.items() if jobs}


def _jobs(row: Mapping[str, Any]) -> int:
    counts: Mapping[str, int] = row.get("jobCount") or {}
    return sum(counts.get(state, 0) for state in _WAITING)
