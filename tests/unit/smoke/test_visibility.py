"""The summary at the end of a smoke run is computed from what the tests recorded."""

from __future__ import annotations

import pytest

from smoke_tests.helpers.visibility import record, summary


def report(kind: str, seconds: list[float], when: str = "call") -> pytest.TestReport:
    properties: list[tuple[str, object]] = []
    for value in seconds:
        record(lambda name, recorded: properties.append((name, recorded)), kind, value)
    return pytest.TestReport("a test", ("", 0, ""), {}, "passed", None, when, user_properties=properties)  # type: ignore[arg-type]


def test_median_maximum_and_number_are_shown_for_each_kind() -> None:
    span, score = summary([report("score", [6.0]), report("span", [0.1, 0.4, 0.2])])
    assert span == "span   median  0.200 s   max  0.400 s   n=3   end of flush -> v2/observations"
    assert score == "score  median  6.000 s   max  6.000 s   n=1   end of flush -> v3/scores"


def test_only_the_call_of_a_test_counts() -> None:
    assert len(summary([report("span", [0.1]), report("span", [9.9], when="teardown")])) == 1
    assert "max  0.100 s" in summary([report("span", [0.1]), report("span", [9.9], when="teardown")])[0]


def test_without_measurements_there_is_no_line() -> None:
    assert summary([report("span", [])]) == []
