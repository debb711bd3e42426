"""Waiting ends with the answer, or with a message that tells what was waited for and why it did not come."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from smoke_tests.helpers.polling import (
    LONGEST_PAUSE_S,
    UNREACHABLE_S,
    NotInTimeError,
    TransientAnswerError,
    eventually,
)


class FakeTime:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


def answers(*values: object) -> Callable[[], object]:
    """Give (or raise) the values one after the other, the last for ever."""
    remaining = list(values)

    def read() -> object:
        value = remaining.pop(0) if len(remaining) > 1 else remaining[0]
        if isinstance(value, Exception):
            raise value
        return value

    return read


def wait(time: FakeTime, *values: object, deadline_s: float = 30) -> object:
    return eventually(
        answers(*values),
        lambda value: "" if value == "done" else f"only {value}",
        what="the span",
        hint="look here",
        deadline_s=deadline_s,
        clock=time.clock,
        sleep=time.sleep,
    )


def test_a_complete_first_answer_is_returned_without_a_pause(time: FakeTime) -> None:
    assert wait(time, "done") == "done"
    assert time.pauses == []


def test_asking_goes_on_until_nothing_is_missing(time: FakeTime) -> None:
    assert wait(time, "0 of 2", "1 of 2", "done") == "done"
    assert len(time.pauses) == 2


def test_pauses_grow_up_to_a_limit(time: FakeTime) -> None:
    wait(time, *["nothing"] * 15, "done")
    assert time.pauses == sorted(time.pauses)
    assert time.pauses[0] < 0.05
    assert time.pauses[-1] == LONGEST_PAUSE_S


def test_the_failure_tells_what_how_long_the_last_answer_and_where_to_look(time: FakeTime) -> None:
    with pytest.raises(NotInTimeError) as failure:
        wait(time, "0 of 2", "1 of 2", deadline_s=5)
    message = str(failure.value)
    assert "waited 5.0 s of at most 5 s for the span" in message
    assert "still missing: only 1 of 2" in message
    assert 'last answer:   "1 of 2"' in message
    assert "hint:          look here" in message


def test_the_deadline_is_not_overslept(time: FakeTime) -> None:
    with pytest.raises(NotInTimeError):
        wait(time, "never", deadline_s=0.2)
    assert time.now == pytest.approx(1000.2)


def test_a_server_that_is_busy_for_a_moment_is_asked_again(time: FakeTime) -> None:
    assert wait(time, TransientAnswerError("503"), httpx.ReadTimeout("slow"), "done") == "done"


def test_an_error_that_stays_is_part_of_the_failure(time: FakeTime) -> None:
    with pytest.raises(NotInTimeError, match="GET /x -> 503 overloaded"):
        wait(time, TransientAnswerError("GET /x -> 503 overloaded"), deadline_s=3)


def test_a_server_that_is_gone_ends_the_wait_before_the_deadline(time: FakeTime) -> None:
    with pytest.raises(NotInTimeError, match="the server cannot be reached"):
        wait(time, "nothing", httpx.ConnectError("refused"), deadline_s=600)
    assert time.now - 1000 < UNREACHABLE_S + 2


def test_a_long_answer_is_cut_in_the_failure(time: FakeTime) -> None:
    with pytest.raises(NotInTimeError) as failure:
        wait(time, "x" * 10_000, deadline_s=0)
    assert "(10002 characters)" in str(failure.value)


def test_an_error_of_another_kind_is_not_swallowed(time: FakeTime) -> None:
    with pytest.raises(KeyError):
        wait(time, KeyError("data"))
