"""Long loops on the event loop: let others have their turn in between."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

Item = TypeVar("Item")
_TURN_SECONDS = 0.002


async def taking_turns(items: Iterable[Item]) -> AsyncIterator[Item]:
    """Yield the items; whenever handling them has taken a while, others go on first."""
    begin = time.perf_counter()
    for item in items:
        yield item
        if time.perf_counter() - begin > _TURN_SECONDS:
            await asyncio.sleep(0)
            begin = time.perf_counter()
