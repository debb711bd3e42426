"""The login cookie stands for one user until it expires, and nobody else can make one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from langfuse_embedded.store.login_sessions import LIFETIME_SECONDS, LoginSessions
from langfuse_embedded.viewer.login_cookie import LoginCookie

NOW = 1_800_000_000
SECRET = "test-secret"

MakeCookie = Callable[..., LoginCookie]


@pytest.fixture
def cookie(tmp_path: Path) -> Iterator[MakeCookie]:
    """A function that opens the same sessions as another process does later, with a secret, at a time."""
    opened: list[LoginSessions] = []

    def make(secret: str = SECRET, now: float = NOW) -> LoginCookie:
        opened.append(LoginSessions(tmp_path, clock=lambda: now))
        return LoginCookie(secret, opened[-1])

    yield make
    for sessions in opened:
        sessions.close()


def test_a_cookie_stands_for_the_user_it_was_made_for_also_after_a_restart(cookie: MakeCookie) -> None:
    value = cookie().value_for("user-zeus")
    assert cookie().user_id(value) == "user-zeus"


def test_a_cookie_ends_after_seven_days(cookie: MakeCookie) -> None:
    value = cookie().value_for("user-zeus")
    assert cookie(now=NOW + LIFETIME_SECONDS - 1).user_id(value) == "user-zeus"
    assert cookie(now=NOW + LIFETIME_SECONDS).user_id(value) is None


def test_a_changed_token_or_signature_is_refused(cookie: MakeCookie) -> None:
    token, signature = cookie().value_for("user-zeus").split(".")
    assert cookie().user_id(f"{token}.{signature}") == "user-zeus"
    assert cookie().user_id(f"{token}x.{signature}") is None
    assert cookie().user_id(f"{token}.{'0' * len(signature)}") is None


@pytest.mark.parametrize("value", ["", ".", "..", "a.b.c", "ÿ.ÿ.ÿ", "9999999999.user-zeus"])
def test_what_is_no_cookie_is_refused(cookie: MakeCookie, value: str) -> None:
    assert cookie().user_id(value) is None


def test_another_secret_has_another_name_and_ends_all_sessions(cookie: MakeCookie) -> None:
    value = cookie().value_for("user-zeus")
    assert cookie("other-secret").user_id(value) is None
    assert cookie("other-secret").name != cookie().name


def test_without_a_secret_no_two_processes_trust_each_other(cookie: MakeCookie) -> None:
    value = cookie("").value_for("user-zeus")
    assert cookie("").user_id(value) is None


def test_a_user_has_so_many_sessions_and_the_oldest_end_first(cookie: MakeCookie) -> None:
    first = cookie(now=NOW).value_for("user-zeus")
    others = [cookie(now=NOW + 1).value_for("user-zeus") for _ in range(50)]
    assert cookie(now=NOW + 1).user_id(first) is None
    assert {cookie(now=NOW + 1).user_id(value) for value in others} == {"user-zeus"}
