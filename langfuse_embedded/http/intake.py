"""How much may be on its way to the writer: requests wait for room, and leave when it takes too long."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from .errors import Unavailable

_BUDGET_BYTES = 64 * 2**20
_PATIENCE_SECONDS = 10.0


class Intake:
    """A budget of bytes for bodies in memory. Who comes first is served first."""

    def __init__(self, budget: int = _BUDGET_BYTES, patience: float = _PATIENCE_SECONDS) -> None:
        self._budget, self._patience = budget, patience
        self._used = 0
        self._queue: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def room(self, size: int) -> AsyncIterator[None]:
        """Hold room for `size` bytes during the block. A body larger than the budget goes alone.

        Raises:
            Unavailable: there was no room within the patience; the client may try again.
        """
        if self._queue or not self._fits(size):
            await self._wait(size)
        else:
            self._used += size
        try:
            yield
        finally:
            self._used -= size
            self._admit()

    @property
    def waiting(self) -> int:
        """How many requests wait for room."""
        return len(self._queue)

    def _fits(self, size: int) -> bool:
        return self._used == 0 or self._used + size <= self._budget

    def _admit(self) -> None:
        while self._queue:
            size, turn = self._queue[0]
            if not turn.done():
                if not self._fits(size):
                    return
                self._used += size
                turn.set_result(None)
            self._queue.popleft()

    async def _wait(self, size: int) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((size, turn))
        try:
            async with asyncio.timeout(self._patience):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                # Admitted in the very moment in which the wait ended.
                self._used -= size
            turn.cancel()
            self._admit()
            if isinstance(error, TimeoutError):
                raise Unavailable(
                    "The engine is busy: too much data is waiting to be stored. Send again.",
                    headers={"retry-after": "1"},
                ) from None
            raise
