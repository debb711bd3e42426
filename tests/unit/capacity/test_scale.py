"""The page on scale holds what the benchmark prints; the simulation behaves as queues do."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.scale import (
    PEAK,
    PEAK_S,
    SPANS_PER_EXPORT,
    WORKER_SPANS_PER_S,
    arithmetic,
    by_processor,
    fixed,
    report,
    simulate,
)

ROOT = Path(__file__).resolve().parents[3]


def test_the_page_holds_what_the_benchmark_prints() -> None:
    page = (ROOT / "docs" / "reference" / "scale.md").read_text()
    for block in report().strip().split("\n\n"):
        assert block in page, block


def test_the_table_is_the_arithmetic_of_capacity() -> None:
    heads, thousand, *_ = arithmetic()
    row = dict(zip(heads, thousand, strict=True))
    assert row["exports/s: S3 PUTs, jobs of the queue"] == "20"
    assert row["payload, MB/s"] == "4"
    # 1,000 spans/s at 100 a core, half idle: 20 cores, 10 for the worker, 5 replicas of 2.
    assert row["web and worker, two cores each (lower bound)"] == "5 + 5"
    # 86.4 million spans of 4,000 bytes are 322 GiB, of which a quarter is stored, twice for merges.
    assert row["disk of ClickHouse for a day, GiB"] == "161"


def test_too_few_workers_leave_what_they_cannot_take() -> None:
    replicas = 5
    outcome = simulate(1_000, replicas, fixed, replicas)
    excess = (1_000 * PEAK - replicas * WORKER_SPANS_PER_S) * PEAK_S / SPANS_PER_EXPORT
    assert outcome.depth == pytest.approx(excess, rel=0.05)
    # What waits at the end of the peak is taken by what is free afterwards.
    free = (replicas * WORKER_SPANS_PER_S - 1_000) / SPANS_PER_EXPORT
    assert outcome.gone_s == pytest.approx(excess / free, rel=0.05)


def test_more_workers_never_leave_more() -> None:
    outcomes = [simulate(1_000, replicas, fixed, replicas) for replicas in (5, 8, 13, 25)]
    depths, waits = [one.depth for one in outcomes], [one.wait_s for one in outcomes]
    assert depths == sorted(depths, reverse=True)
    assert waits == sorted(waits, reverse=True)
    assert depths[-1] == 0


def test_an_autoscaler_adds_up_to_its_limit_and_waits_for_what_it_adds() -> None:
    outcome = simulate(1_000, 5, by_processor, 15)
    alone = simulate(1_000, 5, fixed, 5)
    assert (outcome.first, outcome.most) == (5, 15)
    assert 0 < outcome.depth < alone.depth / 5
