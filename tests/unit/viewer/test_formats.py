"""Numbers, times and addresses as pages show them."""

from __future__ import annotations

import pytest

from langfuse_embedded.viewer import formats
from langfuse_embedded.viewer.urls import project_url, safe_target, trace_url


@pytest.mark.parametrize(
    ("ms", "shown"),
    [
        (None, "—"),
        (0, "0 ms"),
        (999, "999 ms"),
        (1240, "1.24 s"),
        (59_994, "59.99 s"),
        (59_995, "1 m 00 s"),
        (123_400, "2 m 03 s"),
        (3_720_000, "1 h 02 m"),
        (671_640_000, "7 d 18 h"),
        (-5, "-5 ms"),
    ],
)
def test_durations(ms: float | None, shown: str) -> None:
    assert formats.duration(ms) == shown


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (None, "—"),
        (0, "—"),
        (12.3, "$12.30"),
        (1234.5, "$1,234.50"),
        (0.0042, "$0.0042"),
        (0.00042, "$0.00042"),
    ],
)
def test_amounts_keep_two_digits_that_tell_something(amount: float | None, shown: str) -> None:
    assert formats.usd(amount) == shown


def test_tiny_amounts_are_not_shown_as_nothing() -> None:
    assert formats.usd(1e-12) == "$1.0e-12"


def test_moments_are_in_utc_and_survive_odd_values() -> None:
    assert formats.moment(1_768_471_200_123) == "2026-01-15 10:00:00.123"
    assert formats.moment(10**18) == f"{10**18} ms"
    assert formats.moment(None) == "—"


def test_long_texts_become_one_short_line() -> None:
    assert formats.one_line("a\n\n b\tc") == "a b c"
    assert formats.one_line("x" * 300, 10) == "x" * 9 + "…"
    assert formats.one_line(None) == ""


def test_addresses_keep_slashes_of_names_inside_one_segment() -> None:
    assert project_url("kosmos", "prompts", "support/answer", version=2) == (
        "/project/kosmos/prompts/support%2Fanswer?version=2"
    )
    assert trace_url("kosmos", "<t>", "a&b") == "/project/kosmos/traces/%3Ct%3E?observation=a%26b"
    assert project_url("kosmos", "traces", user="", after=None) == "/project/kosmos/traces"


@pytest.mark.parametrize(
    "target",
    ["", "https://evil.example", "//evil.example", "/\\evil.example", "/a\r\nset-cookie: x", "javascript:1"],
)
def test_a_login_leads_to_no_other_site(target: str) -> None:
    assert safe_target(target) == "/"


def test_a_login_leads_on_to_a_page_of_this_site() -> None:
    assert safe_target("/project/kosmos/traces?user=x") == "/project/kosmos/traces?user=x"
