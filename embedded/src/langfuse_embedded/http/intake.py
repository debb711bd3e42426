"""How much may be in memory on its way to the writer: shared among projects, and counted as it arrives."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable

from .errors import Unavailable

_BUDGET_BYTES = 128 * 2**20
_WINDOW_BYTES = 2 * 2**20
_PATIENCE_SECONDS = 10.0


class Hold:
    """What one request holds in memory; it grows with what arrives, until the end of a `with` block."""

    __slots__ = ("_intake", "project", "size")

    def __init__(self, intake: Intake, project: str) -> None:
        self._intake, self.project, self.size = intake, project, 0

    def __enter__(self) -> Hold:
        return self

    def __exit__(self, *_error: object) -> None:
        self._intake.release(self)

    def grow(self, size: int) -> Awaitable[None]:
        """Take room for `size` more bytes, which have arrived.

        Raises:
            Unavailable: there was no room within the patience; the client may try again.
        """
        return self._intake.grow(self, size)


class Window:
    """What one request has sent to the writer, during an `async with` block; see `Intake.window`."""

    __slots__ = ("_intake", "_project", "_size")

    def __init__(self, intake: Intake, project: str, size: int) -> None:
        self._intake, self._project, self._size = intake, project, size

    def __aenter__(self) -> Awaitable[None]:
        return self._intake.begin_to_send(self._project, self._size)

    async def __aexit__(self, *_error: object) -> None:
        self._intake.end_sending(self._project, self._size)


class Intake:
    """A budget of bytes for bodies in memory.

    A project may hold as much as is left: one alone half of the budget, a second one half of the rest, and so
    on, so that nobody ever finds it used up by someone else. Nothing is held for what has not arrived. Where
    bodies of a project wait for each other, the one that waits longest goes on beyond the budget: one ends,
    then the next.

    What goes on to the writer does so through the `window` of its project, so that nobody else waits behind
    more than that.
    """

    def __init__(
        self, budget: int = _BUDGET_BYTES, patience: float = _PATIENCE_SECONDS, window: int = _WINDOW_BYTES
    ) -> None:
        self._budget, self._patience, self._window = budget, patience, window
        self._used = 0
        # Plain mappings, as a Counter takes three times as long: these are on the way of every export.
        self._held: dict[str, int] = {}
        self._queue: deque[tuple[Hold, int, asyncio.Future[None]]] = deque()
        self._beyond: Hold | None = None
        self._sent: dict[str, int] = {}
        self._sending: dict[str, deque[tuple[int, asyncio.Future[None]]]] = {}

    def hold(self, project: str) -> Hold:
        """Give out a hold, for a `with` block; what it holds is free again at the end of the block."""
        return Hold(self, project)

    def release(self, hold: Hold) -> None:
        """See `Hold`."""
        if hold.size:
            self._used -= hold.size
            _take_off(self._held, hold.project, hold.size)
        if self._beyond is hold:
            self._beyond = None
        if self._queue:
            self._admit()

    @property
    def waiting(self) -> int:
        """How many requests wait for room."""
        return len(self._queue) + sum(map(len, self._sending.values()))

    async def grow(self, hold: Hold, size: int) -> None:
        """See `Hold.grow`."""
        if self._fits(hold, size):
            self._charge(hold, size)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (hold, size, turn)
        self._queue.append(entry)
        self._admit()
        try:
            await self._patiently(turn)
        except BaseException:
            # Admitted in the very moment in which the wait ended: the hold gives it back at its end.
            if entry in self._queue:
                self._queue.remove(entry)
                self._admit()
            raise

    def window(self, project: str, size: int) -> Window:
        """Be among what a project has sent to the writer, during an `async with` block.

        A large body goes alone.

        Raises:
            Unavailable: what the project has sent before was not stored within the patience.
        """
        return Window(self, project, size)

    async def begin_to_send(self, project: str, size: int) -> None:
        """See `window`."""
        if project in self._sending or not self._may_send(project, size):
            await self._wait_to_send(project, size)
        else:
            self._sent[project] = self._sent.get(project, 0) + size

    def end_sending(self, project: str, size: int) -> None:
        """See `window`."""
        _take_off(self._sent, project, size)
        if project in self._sending:
            self._send_next(project)

    def _fits(self, hold: Hold, size: int) -> bool:
        return hold is self._beyond or self._held.get(hold.project, 0) + size <= self._budget - self._used

    def _charge(self, hold: Hold, size: int) -> None:
        hold.size += size
        self._used += size
        self._held[hold.project] = self._held.get(hold.project, 0) + size

    def _admit(self) -> None:
        for entry in [*self._queue]:
            hold, size, turn = entry
            if self._beyond is None and not turn.done():
                self._beyond = hold
            if turn.done() or self._fits(hold, size):
                self._queue.remove(entry)
                if not turn.done():
                    self._charge(hold, size)
                    turn.set_result(None)

    def _may_send(self, project: str, size: int) -> bool:
        sent = self._sent.get(project, 0)
        return sent == 0 or sent + size <= self._window

    def _send_next(self, project: str) -> None:
        queue = self._sending.get(project)
        while queue:
            size, turn = queue[0]
            if not turn.done():
                if not self._may_send(project, size):
                    return
                self._sent[project] = self._sent.get(project, 0) + size
                turn.set_result(None)
            queue.popleft()
        self._sending.pop(project, None)

    async def _wait_to_send(self, project: str, size: int) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sending.setdefault(project, deque()).append((size, turn))
        try:
            await self._patiently(turn)
        except BaseException:
            if turn.done() and not turn.cancelled():
                # Admitted in the very moment in which the wait ended.
                _take_off(self._sent, project, size)
            turn.cancel()
            self._send_next(project)
            raise

    async def _patiently(self, turn: asyncio.Future[None]) -> None:
        try:
            async with asyncio.timeout(self._patience):
                # Not cancelled by the end of patience: whoever admits looks whether it is done.
                await asyncio.shield(turn)
        except TimeoutError:
            raise Unavailable(
                "The engine is busy: too much data of this project is waiting to be stored. Send again.",
                headers={"retry-after": "1"},
            ) from None


def _take_off(sizes: dict[str, int], project: str, size: int) -> None:
    left = sizes.get(project, 0) - size
    if left:
        sizes[project] = left
    else:
        # Gone already where several of no size end together.
        sizes.pop(project, None)
