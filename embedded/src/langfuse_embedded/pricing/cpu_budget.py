"""How much of a processor pricing a batch may take where others wait behind it."""

from __future__ import annotations

import time

LONGEST_TEXT = 50_000
"""Characters whose tokens are counted at once: 20 ms."""


class BudgetSpent(Exception):
    """Pricing takes longer than others may wait. What was found out until then is remembered."""


class CpuBudget:
    """Processor time for pricing one batch. Work with limits of another kind is priced without one."""

    __slots__ = ("_cpu_deadline", "_deadline")

    def __init__(self, seconds: float) -> None:
        self._deadline = time.perf_counter() + seconds
        self._cpu_deadline = time.process_time() + seconds

    def check(self) -> None:
        """Return while some is left.

        Raises:
            BudgetSpent: none is.
        """
        now = time.perf_counter()
        if now < self._deadline:
            return
        # Time passes as well while others have the processor, and asking for one's own takes longer.
        left = self._cpu_deadline - time.process_time()
        if left <= 0:
            raise BudgetSpent
        self._deadline = now + left
