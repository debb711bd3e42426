"""Wait for something with a deadline, and explain what was last seen when it does not come."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .errors import EngineDied, WaitTimeout


@dataclass(frozen=True, slots=True)
class Clock:
    """Time as the waits see it; tests put their own functions in."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at the awaited thing showed.

    Attributes:
        done: whether the wait is over.
        state: a few words on what was seen.
        dead: why it can no longer come, or empty.
    """

    done: bool
    state: str = ""
    dead: str = ""


def wait_until(
    look: Callable[[], Look],
    *,
    what: str,
    timeout_s: float,
    last_lines: Callable[[], Sequence[str]],
    fix: str,
    interval_s: float = 0.05,
    clock: Clock = Clock(),
) -> float:
    """Look every `interval_s` seconds until it is done; return the seconds that took.

    Raises:
        EngineDied: a look said that it is dead: waiting on would be useless.
        WaitTimeout: `timeout_s` seconds have passed. Both carry the last state and `last_lines()`.
    """
    start = clock.monotonic()
    while True:
        seen = look()
        waited = clock.monotonic() - start
        if seen.done:
            return waited
        if seen.dead:
            raise EngineDied(f"{what}: {seen.dead}.", details=last_lines(), fix=fix)
        if waited >= timeout_s:
            state = f" Last seen: {seen.state}." if seen.state else ""
            raise WaitTimeout(f"{what}: not within {timeout_s:.0f} s.{state}", details=last_lines(), fix=fix)
        clock.sleep(interval_s)


def tail(text: str, lines: int = 15) -> list[str]:
    """Return the last `lines` non-empty lines."""
    return [line.rstrip() for line in text.splitlines() if line.strip()][-lines:]
