"""How fast a request body has to arrive: who sends a byte now and then holds nothing for long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from starlette.types import Message, Receive

from .errors import RequestTimeout

IDLE_SECONDS = 15.0
GRACE_SECONDS = 30.0
BYTES_PER_SECOND = 16 * 2**10
"""On average, after the grace: a modem is faster."""


class Paced:
    """The receiving side of one request, with deadlines for its body."""

    def __init__(self, receive: Receive, clock: Callable[[], float] = time.monotonic) -> None:
        self._receive, self._clock = receive, clock
        self._begin: float | None = None
        self._arrived = 0
        self._is_complete = self._has_given_up = False

    async def __call__(self) -> Message:
        """Return the next message.

        Raises:
            RequestTimeout: the body arrives too slowly.
        """
        if self._is_complete:
            return await self._receive()
        now = self._clock()
        if self._begin is None:
            self._begin = now
        left = self._begin + GRACE_SECONDS + self._arrived / BYTES_PER_SECOND - now
        if left <= 0:
            raise self._too_slow(now)
        # By hand: `asyncio.timeout` takes ten times as long, and this is on the way of every export.
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  every request is served by one
        timer = asyncio.get_running_loop().call_later(min(IDLE_SECONDS, left), self._give_up, task)
        try:
            message = await self._receive()
        except asyncio.CancelledError:
            if self._has_given_up and not task.uncancel():
                raise self._too_slow(self._clock()) from None
            raise
        finally:
            timer.cancel()
        self._arrived += len(message.get("body", b""))
        self._is_complete = not message.get("more_body", False)
        return message

    def _give_up(self, task: asyncio.Task[object]) -> None:
        self._has_given_up = True
        task.cancel()

    def _too_slow(self, now: float) -> RequestTimeout:
        seconds = now - (self._begin or now)
        return RequestTimeout(
            f"The request body arrives too slowly: {self._arrived} bytes in {seconds:.0f} s"
        )
