"""Which model calls look as if two instrumentations had reported them."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.check.doctor.sources.calls import Twice, reported_twice


def call(**changed: Any) -> dict[str, Any]:
    """Return a model call as the API shows it."""
    usual = {
        "id": "outer",
        "traceId": "t",
        "parentObservationId": None,
        "name": "ChatOpenAI",
        "startTime": "2026-11-10T12:00:00.000Z",
        "endTime": "2026-11-10T12:00:02.000Z",
        "usageDetails": {"input": 3, "output": 5, "total": 8},
    }
    return {**usual, **changed}


INNER: dict[str, Any] = {
    "id": "inner",
    "name": "OpenAI-generation",
    "startTime": "2026-11-10T12:00:00.010Z",
    "endTime": "2026-11-10T12:00:01.990Z",
}


@pytest.mark.parametrize(
    "inner",
    [
        call(**INNER, parentObservationId="outer"),
        call(**INNER),  # side by side, under the same parent
        call(**INNER, parentObservationId="a span between them"),
        call(**{**INNER, "name": "ChatOpenAI"}, parentObservationId="outer"),
        call(id="inner", name="openai.chat"),  # to the millisecond at the same time
    ],
)
def test_a_call_within_another_one_with_the_same_tokens_counts_twice(inner: dict[str, Any]) -> None:
    for rows in ([call(), inner], [inner, call()]):
        [found] = reported_twice("acme", rows)
        assert (found.project, found.trace_id) == ("acme", "t")
        assert {found.outer, found.inner} == {"ChatOpenAI", inner["name"]}
    assert list(reported_twice("acme", [call(), call(**INNER)])) == [
        Twice("acme", "t", "ChatOpenAI", "OpenAI-generation")
    ]


@pytest.mark.parametrize(
    "other",
    [
        call(**INNER, traceId="another"),
        call(**INNER, usageDetails={"input": 4, "output": 4, "total": 8}),
        call(**{**INNER, "endTime": "2026-11-10T12:00:03.000Z"}),  # the next call
        call(**{**INNER, "endTime": None}),
        call(**{**INNER, "name": "ChatOpenAI"}),  # several samples of one prompt
    ],
)
def test_other_calls_do_not_count_twice(other: dict[str, Any]) -> None:
    assert list(reported_twice("acme", [call(), other])) == []


def test_calls_without_tokens_cost_nothing_twice() -> None:
    assert list(reported_twice("acme", [call(usageDetails={}), call(**INNER, usageDetails={})])) == []
