"""Bins follow the data, and no value is lost."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langfuse_embedded.metrics.histogram import histogram


def test_few_values_have_a_bin_each_with_edges_half_way() -> None:
    assert histogram([30, 10, 20], 3, 10) == [(10, 15, 1), (15, 25, 1), (25, 30, 1)]


def test_equal_values_share_a_bin() -> None:
    assert histogram([5, 5, 5], 3, 10) == [(5, 5, 3)]


def test_the_closest_neighbours_are_merged_when_bins_run_out() -> None:
    # 10 and 11 become 10.5 with weight 2; heights are smoothed with a quarter of the neighbour's.
    assert histogram([10, 11, 20], 3, 2) == [
        (10, 15.25, (2 + (1 + 3 * 2) / 4) / 2),
        (15.25, 20, ((2 + 3 * 1) / 4 + 1) / 2),
    ]


def test_a_sample_stands_for_all_values() -> None:
    bins = histogram([1.0, 2.0, 3.0, 4.0], 4000, 2)
    assert sum(height for *_, height in bins) == pytest.approx(4000)


def test_no_values_make_no_bins() -> None:
    assert histogram([], 0, 10) == []


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=200), st.integers(1, 20))
def test_bins_touch_reach_from_end_to_end_and_hold_all_values(values: list[float], bins: int) -> None:
    found = histogram(values, len(values), bins)
    assert 1 <= len(found) <= bins
    assert all(left[1] == right[0] for left, right in pairwise(found))
    assert (found[0][0], found[-1][1]) == (min(values), max(values))
    assert sum(height for *_, height in found) == pytest.approx(len(values))
