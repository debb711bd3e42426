"""How often a wrong password may be tried."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable

WINDOW_SECONDS = 300.0
FAILURES_PER_ACCOUNT = 5
FAILURES_PER_ADDRESS = 30
_MAX_REMEMBERED = 10_000


class LoginLimit:
    """Counts failures of the last five minutes by client address, and by address and account together.

    Counting by account alone would let anybody lock someone else out.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: dict[tuple[str, ...], deque[float]] = {}

    def wait_seconds(self, address: str, account: str) -> int:
        """Return after how many seconds another attempt is allowed; 0 for now."""
        account = account.lower()
        return max(
            self._wait((address,), FAILURES_PER_ADDRESS), self._wait((address, account), FAILURES_PER_ACCOUNT)
        )

    def failed(self, address: str, account: str) -> None:
        """Count an attempt. Call it before the password is checked, so that parallel attempts count too."""
        if len(self._failures) >= _MAX_REMEMBERED:
            self._failures.clear()
        for key in ((address,), (address, account.lower())):
            self._failures.setdefault(key, deque()).append(self._clock())

    def succeeded(self, address: str, account: str) -> None:
        """Forget the failures of an account from this address."""
        self._failures.pop((address, account.lower()), None)
        if recent := self._failures.get((address,)):
            recent.pop()

    def _wait(self, key: tuple[str, ...], allowed: int) -> int:
        recent = self._failures.get(key)
        if recent is None:
            return 0
        now = self._clock()
        while recent and recent[0] <= now - WINDOW_SECONDS:
            recent.popleft()
        if not recent:
            del self._failures[key]
            return 0
        return math.ceil(recent[-allowed] + WINDOW_SECONDS - now) if len(recent) >= allowed else 0
