"""The filters of an export: what is misspelt is refused, as everything would be exported otherwise."""

from __future__ import annotations

import pytest

from scripts.core.errors import UsageError
from scripts.data.transfer.export import read_filters


def test_filters_are_read_by_name_and_may_hold_an_equals_sign() -> None:
    assert read_filters(["environment=production", "trace=a=b"]) == {
        "environment": "production",
        "trace": "a=b",
    }


@pytest.mark.parametrize("pair", ["from", "form=2026-01-01T00:00:00Z", "environment=", "=production", ""])
def test_what_is_no_filter_is_refused(pair: str) -> None:
    with pytest.raises(UsageError, match="is not a filter") as refused:
        read_filters(["trace=a", pair])
    assert refused.value.fix.startswith("write NAME=VALUE with one of the names environment, ")
