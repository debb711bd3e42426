"""When a judgement is tried again: as the worker plans it (`worker/src/features/utils/retry-handler.ts`)."""

from __future__ import annotations

import random

_FIRST_SECONDS = 300.0
_JITTER = 0.2


def retry_delay(attempt: int, elapsed: float, retries: int, most_seconds: float) -> float | None:
    """Return how many seconds to wait before retry number `attempt` (from 1); ``None``: give up.

    `elapsed` seconds have gone since the first call. With 4 retries in 7200 s they come about 5, 43, 82 and
    120 minutes after it.
    """
    if attempt > retries or elapsed >= most_seconds:
        return None
    first = min(_FIRST_SECONDS, most_seconds / retries)
    progress = (attempt - 1) / (retries - 1) if retries > 1 else 0.0
    wait = max(0.0, first + (most_seconds - first) * progress - elapsed)
    jittered = wait * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - spreads load
    return min(jittered, most_seconds - elapsed)
