"""Passwords cannot be guessed quickly, and guessing locks out nobody at another address."""

from __future__ import annotations

from langfuse_embedded.viewer.login_limit import (
    FAILURES_PER_ACCOUNT,
    FAILURES_PER_ADDRESS,
    WINDOW_SECONDS,
    LoginLimit,
)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_an_account_is_closed_to_an_address_after_five_failures_and_opens_again() -> None:
    clock = Clock()
    limit = LoginLimit(clock)
    for _ in range(FAILURES_PER_ACCOUNT):
        assert limit.wait_seconds("10.0.0.1", "zeus@acme.example") == 0
        limit.failed("10.0.0.1", "zeus@acme.example")
    assert limit.wait_seconds("10.0.0.1", "ZEUS@acme.example") == WINDOW_SECONDS
    assert limit.wait_seconds("10.0.0.2", "zeus@acme.example") == 0
    assert limit.wait_seconds("10.0.0.1", "hera@acme.example") == 0
    clock.now += WINDOW_SECONDS
    assert limit.wait_seconds("10.0.0.1", "zeus@acme.example") == 0


def test_an_address_that_tries_many_accounts_is_closed_to_all() -> None:
    limit = LoginLimit(Clock())
    for number in range(FAILURES_PER_ADDRESS):
        limit.failed("10.0.0.1", f"user-{number}@acme.example")
    assert limit.wait_seconds("10.0.0.1", "zeus@acme.example") > 0


def test_a_right_password_forgets_the_failures_before_it() -> None:
    limit = LoginLimit(Clock())
    for _ in range(FAILURES_PER_ACCOUNT):
        limit.failed("10.0.0.1", "zeus@acme.example")
    limit.succeeded("10.0.0.1", "zeus@acme.example")
    assert limit.wait_seconds("10.0.0.1", "zeus@acme.example") == 0
