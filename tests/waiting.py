"""Wait for what takes its time, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


def wait_for(
    condition: Callable[[], Result],
    what: str | Callable[[], object],
    within_s: float = 120.0,
    every_s: float = 0.05,
) -> Result:
    """Ask `condition` every so many seconds until it returns something true; return that.

    Args:
        condition: may fail by itself where going on makes no sense.
        what: is waited for, for the message of a failure; a function is asked when it is needed.
        within_s: seconds after which the wait is a failure; it ends with a last look.
        every_s: seconds between two looks.

    Raises:
        AssertionError: it did not come in time.
    """
    deadline = time.monotonic() + within_s
    while not (result := condition()):
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {within_s:g} s: {what() if callable(what) else what}")
        time.sleep(every_s)
    return result
