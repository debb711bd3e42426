"""What tests wait with."""

from __future__ import annotations

import pytest

from tests.waiting import wait_for


def test_a_wait_returns_the_first_thing_that_is_found() -> None:
    looks = iter(["", None, "found", "later"])
    assert wait_for(lambda: next(looks), "a thing", every_s=0) == "found"


def test_a_wait_fails_at_its_deadline_and_says_what_it_waited_for() -> None:
    looks: list[int] = []
    with pytest.raises(AssertionError, match="not within 0 s: a thing"):
        wait_for(lambda: looks.append(1), "a thing", within_s=0)
    assert looks == [1]
    with pytest.raises(AssertionError, match="after 2 looks"):
        wait_for(lambda: looks.append(1), lambda: f"a thing after {len(looks)} looks", within_s=0)
