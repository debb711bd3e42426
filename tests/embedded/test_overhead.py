"""The benchmark of what the SDK costs an application measures what it says."""

from __future__ import annotations

import pytest

from benchmarks.overhead import COLUMNS, CONDITIONS, Condition, measure, server

pytestmark = pytest.mark.slow
COUNT = 300


@pytest.mark.parametrize("condition", CONDITIONS, ids=[condition.name for condition in CONDITIONS])
def test_only_what_a_full_queue_or_an_absent_server_loses_is_missing(condition: Condition) -> None:
    with server(condition) as engine:
        figures = measure(condition, engine, COUNT)
    assert set(figures) == set(COLUMNS)
    assert 0 < figures["p50 us"] <= figures["p99 us"]
    assert figures["CPU us"] > 0
    if condition.faults is None:
        assert figures["arrived %"] == 0
    elif condition.application:
        assert 0 < figures["arrived %"] < 100
    else:
        assert figures["arrived %"] == 100
