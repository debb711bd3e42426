"""The login cookie stands for one user until it expires, and nobody else can make one."""

from __future__ import annotations

import pytest

from langfuse_embedded.viewer.login_cookie import LIFETIME_SECONDS, LoginCookie

NOW = 1_800_000_000
SECRET = "test-secret"


def cookie(secret: str = SECRET, now: float = NOW) -> LoginCookie:
    return LoginCookie(secret, clock=lambda: now)


def test_a_cookie_stands_for_the_user_it_was_made_for_also_after_a_restart() -> None:
    value = cookie().value_for("user-zeus")
    assert cookie().user_id(value) == "user-zeus"


def test_a_cookie_ends_after_seven_days() -> None:
    value = cookie().value_for("user-zeus")
    assert cookie(now=NOW + LIFETIME_SECONDS - 1).user_id(value) == "user-zeus"
    assert cookie(now=NOW + LIFETIME_SECONDS).user_id(value) is None


def test_a_changed_user_expiry_or_signature_is_refused() -> None:
    expires, user, signature = cookie().value_for("user-zeus").split(".")
    assert cookie().user_id(f"{expires}.{user}.{signature}") == "user-zeus"
    assert cookie().user_id(f"{expires}.user-hera.{signature}") is None
    assert cookie().user_id(f"{int(expires) + 1}.{user}.{signature}") is None
    assert cookie().user_id(f"{expires}.{user}.{'0' * len(signature)}") is None


@pytest.mark.parametrize("value", ["", ".", "..", "a.b.c", "ÿ.ÿ.ÿ", "9999999999.user-zeus"])
def test_what_is_no_cookie_is_refused(value: str) -> None:
    assert cookie().user_id(value) is None


def test_another_installation_has_another_name_and_takes_no_foreign_cookie() -> None:
    value = cookie().value_for("user-zeus")
    assert cookie("other-secret").user_id(value) is None
    assert cookie("other-secret").name != cookie().name


def test_without_a_secret_no_two_processes_trust_each_other() -> None:
    value = cookie("").value_for("user-zeus")
    assert cookie("").user_id(value) is None
