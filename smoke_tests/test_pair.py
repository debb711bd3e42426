"""Does this SDK fit this server? A wrong pair shows in nothing but scores that never arrive."""

from __future__ import annotations

import pytest

from smoke_tests.helpers.pair import PairCheck


def test_a_score_written_by_this_sdk_can_be_read_back(pair_check: PairCheck) -> None:
    if not pair_check.fits:
        pytest.fail(f"{pair_check.lost_because}", pytrace=False)
