"""A table of numbers as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite

NOTHING = "-"


@dataclass(frozen=True, slots=True)
class Table:
    """A table: the first column names, the others are numbers as texts."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


def usd(value: float | None) -> str:
    """Return an amount with two decimals, four below a dollar, and two digits below a hundredth of a cent."""
    if value is None:
        return NOTHING
    if abs(value) >= 1 or not value:
        return f"{value:,.2f}"
    return f"{value:.4f}" if abs(value) >= 0.0001 else f"{Decimal(f'{value:.2g}'):f}"


def number(value: float | None) -> str:
    """Return a number of four significant digits, thousands apart."""
    if value is None:
        return NOTHING
    if not isfinite(value) or abs(value) >= 1000 or value == int(value):
        return f"{value:,.0f}"
    return f"{Decimal(f'{value:.4g}'):f}"  # 0.0000001 and not 1e-07


def percent(value: float | None) -> str:
    """Return a share as per cent."""
    return NOTHING if value is None else f"{value * 100:.1f} %"
