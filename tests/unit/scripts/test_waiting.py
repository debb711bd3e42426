"""Waits end when the thing is there, when it has died, and at the deadline; and they explain themselves."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from scripts.core.errors import EngineDied, WaitTimeout
from scripts.core.waiting import Look, tail, wait_until

from .fakes import jumping_clock


def looks(*seen: Look) -> Callable[[], Look]:
    rest = list(seen)
    return lambda: rest.pop(0) if len(rest) > 1 else rest[0]


def wait(look: Callable[[], Look]) -> float:
    return wait_until(
        look,
        what="The engine does not start",
        timeout_s=10,
        last_lines=lambda: ["last words"],
        fix="look",
        interval_s=0.5,
        clock=jumping_clock(),
    )


def test_a_wait_returns_the_seconds_it_took() -> None:
    assert wait(looks(Look(False), Look(False), Look(True))) == 1.0


def test_a_wait_for_what_has_died_ends_at_once_with_the_last_lines() -> None:
    with pytest.raises(EngineDied, match="The engine does not start: exit code 3") as caught:
        wait(looks(Look(False), Look(False, dead="exit code 3")))
    assert caught.value.details == ("last words",)


def test_a_timeout_tells_the_last_state_and_the_last_lines() -> None:
    with pytest.raises(WaitTimeout, match=r"not within 10 s\. Last seen: no answer\.") as caught:
        wait(looks(Look(False, state="no answer")))
    assert caught.value.details == ("last words",)
    assert caught.value.fix == "look"


def test_tail_keeps_the_last_lines_with_text() -> None:
    assert tail("a\n\nb\nc  \n\n", 2) == ["b", "c"]
