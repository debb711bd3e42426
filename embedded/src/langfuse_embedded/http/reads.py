"""Threads for queries that may take long: shared among projects, so that nobody's queries hold up others'."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from .errors import Unavailable

Result = TypeVar("Result")
_THREADS = 32
_PATIENCE_SECONDS = 30.0


class Reads:
    """A number of threads for reading.

    A project may have as many at work as are left: one alone half of them, a second one half of the rest, and
    so on. Its further queries wait, the oldest first; of several projects, the one with the fewest at work
    goes on.
    """

    def __init__(self, threads: int = _THREADS, patience: float = _PATIENCE_SECONDS) -> None:
        self._threads, self._free, self._patience = threads, threads, patience
        self._limiter: CapacityLimiter | None = None
        self._busy: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    async def run(self, project: str, read: Callable[[], Result]) -> Result:
        """Return what `read` returns, which runs in a thread.

        Raises:
            Unavailable: the project's queries left no thread to this one within the patience.
        """
        if self._limiter is None:
            self._limiter = CapacityLimiter(self._threads)
        if project in self._waiting or not self._has_room(project):
            await self._wait(project)
        else:
            self._take(project)
        try:
            return await to_thread.run_sync(read, limiter=self._limiter)
        finally:
            self._leave(project)

    def _has_room(self, project: str) -> bool:
        return self._busy[project] < self._free

    def _take(self, project: str) -> None:
        self._busy[project] += 1
        self._free -= 1

    def _leave(self, project: str) -> None:
        self._free += 1
        self._busy[project] -= 1
        if not self._busy[project]:
            del self._busy[project]
        self._admit()

    def _admit(self) -> None:
        while self._waiting:
            project = min(self._waiting, key=lambda one: self._busy[one])
            if not self._has_room(project):
                return
            queue = self._waiting.pop(project)
            turn = queue.popleft()
            if queue:
                # Behind the others that have as many at work.
                self._waiting[project] = queue
            if not turn.done():
                self._take(project)
                turn.set_result(None)

    async def _wait(self, project: str) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(project, deque()).append(turn)
        try:
            async with asyncio.timeout(self._patience):
                # Not cancelled by the end of patience: whoever admits looks whether it is done.
                await asyncio.shield(turn)
        except BaseException as error:
            if turn.done():
                # Admitted in the very moment in which the wait ended.
                self._leave(project)
            turn.cancel()
            if isinstance(error, TimeoutError):
                raise Unavailable(
                    "The engine is busy with what this project asked for. Ask again, or for less.",
                    headers={"retry-after": "1"},
                ) from None
            raise
