"""How long pricing a batch may take where others wait behind it."""

from __future__ import annotations

import time

LONGEST_TEXT = 50_000
"""Characters whose tokens are counted at once: 20 ms."""


class TakesLong(Exception):
    """Pricing takes longer than others may wait. What was found out until then is remembered."""


class Patience:
    """Processor time for one batch. Whoever has all the time that is needed has none of these."""

    __slots__ = ("_cpu_deadline", "_deadline")

    def __init__(self, seconds: float) -> None:
        self._deadline = time.perf_counter() + seconds
        self._cpu_deadline = time.process_time() + seconds

    def check(self) -> None:
        """Raises: TakesLong."""
        now = time.perf_counter()
        if now < self._deadline:
            return
        # Time passes as well while others have the processor, and asking for one's own takes longer.
        left = self._cpu_deadline - time.process_time()
        if left <= 0:
            raise TakesLong
        self._deadline = now + left
