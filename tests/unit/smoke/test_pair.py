"""A wrong pair of SDK and server is recognised by its versions, and a lost score explained."""

from __future__ import annotations

import pytest

from smoke_tests.helpers.pair import PairCheck, explain_loss, known_misfit


@pytest.mark.parametrize(
    ("sdk", "server"),
    [
        ("5.0.4", "4.59.0"),
        ("5.0.4", "4.101.2"),
        ("4.18.0", "4.16.0"),
        ("4.14.6", "4.59.0"),
        ("5.1.0", "5.0.0"),
    ],
)
def test_pairs_that_fit_are_not_blamed(sdk: str, server: str) -> None:
    assert known_misfit(sdk, server) is None


@pytest.mark.parametrize(
    ("sdk", "server"), [("5.0.4", "4.16.0"), ("5.0.0", "4.58.9"), ("6.1.0", "v4.58.1-rc.1")]
)
def test_sdk_5_with_an_older_server_is_a_misfit(sdk: str, server: str) -> None:
    reason = known_misfit(sdk, server)
    assert reason is not None
    assert "server >= 4.59.0, or `langfuse>=4.14,<5`" in reason


def test_an_sdk_older_than_v4_writes_is_a_misfit() -> None:
    reason = known_misfit("3.8.0", "4.59.0")
    assert reason is not None
    assert "older than what a v4 server takes" in reason


def test_the_explanation_of_a_loss_has_the_reason_and_the_log_of_the_sdk() -> None:
    text = explain_loss("5.0.4", "4.16.0", ["Bad request 400"], "waited 60.0 s")
    assert "sends scores as a JSON array" in text
    assert "Bad request 400" in text
    assert text.endswith("waited 60.0 s")


def test_a_loss_with_a_pair_that_should_fit_says_so() -> None:
    text = explain_loss("5.0.4", "4.59.0", [], "waited 60.0 s")
    assert "should fit: the fault is elsewhere" in text
    assert "(silent)" in text


def test_a_check_fits_only_without_a_reason() -> None:
    assert PairCheck("5.0.4", "4.59.0", None).fits
    assert not PairCheck("5.0.4", "4.16.0", "lost").fits
