"""The queues between web and worker: lists in Valkey under the names that BullMQ gives them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import redis

OTEL = "otel-ingestion-queue"
INGESTION = "ingestion-queue"
SECONDARY = "secondary-ingestion-queue"
TRACE_DELETE = "trace-delete"
SCORE_DELETE = "score-delete"
NAMES = (OTEL, INGESTION, SECONDARY, TRACE_DELETE, SCORE_DELETE)

# Where the lists of a state lie, by the word of the admin API.
_LISTS = {"waiting": "wait", "active": "active", "failed": "failed"}
_FAULT = "rehearsal:worker-fault"
FAULTS = ("none", "drop", "fail", "stall")
"""What the worker may be told to do: give rows up as if they were written, fail every job, or take none."""


class Queues:
    """Every method raises redis.RedisError when Valkey is away."""

    def __init__(self, valkey: redis.Redis) -> None:
        self._valkey: Any = valkey

    def add(self, queue: str, jobs: Sequence[Mapping[str, Any]]) -> None:
        """Put jobs at the end of a queue."""
        self._valkey.lpush(_list(queue, "waiting"), *(json.dumps(job) for job in jobs))

    def take(self, timeout_s: float) -> tuple[str, bytes] | None:
        """Return the oldest job of the first queue that has one, now among the active ones.

        Waits for a job of the first queue up to `timeout_s` seconds.
        """
        for queue in NAMES:
            if job := self._valkey.lmove(_list(queue, "waiting"), _list(queue, "active"), "RIGHT", "LEFT"):
                return queue, job
        job = self._valkey.blmove(_list(OTEL, "waiting"), _list(OTEL, "active"), timeout_s, "RIGHT", "LEFT")
        return (OTEL, job) if job else None

    def done(self, queue: str, job: bytes) -> None:
        """Forget an active job."""
        self._valkey.lrem(_list(queue, "active"), 1, job)

    def failed(self, queue: str, job: bytes) -> None:
        """Keep an active job among the failed ones."""
        self._valkey.lpush(_list(queue, "failed"), job)
        self.done(queue, job)

    def recover(self) -> int:
        """Put back what a killed worker had taken; return how many jobs that were."""
        count = 0
        for queue in NAMES:
            while self._valkey.lmove(_list(queue, "active"), _list(queue, "waiting"), "RIGHT", "RIGHT"):
                count += 1
        return count

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the numbers of jobs by queue and state."""
        return {queue: {state: self._valkey.llen(_list(queue, state)) for state in _LISTS} for queue in NAMES}

    def retry(self, queues: Sequence[str]) -> None:
        """Put failed jobs back."""
        for queue in set(queues) & set(NAMES):
            while self._valkey.lmove(_list(queue, "failed"), _list(queue, "waiting"), "RIGHT", "LEFT"):
                pass

    def remove(self, queues: Sequence[str], status: str) -> None:
        """Delete the jobs in a state, by BullMQ's word for it."""
        state = "waiting" if status == "wait" else status
        for queue in set(queues) & set(NAMES):
            if state in _LISTS:
                self._valkey.delete(_list(queue, state))

    @property
    def fault(self) -> str:
        """What the worker was told to do wrong: one of FAULTS."""
        stored = self._valkey.get(_FAULT)
        return stored.decode() if stored else FAULTS[0]

    @fault.setter
    def fault(self, fault: str) -> None:
        self._valkey.set(_FAULT, fault)


def _list(queue: str, state: str) -> str:
    return f"bull:{queue}:{_LISTS[state]}"
