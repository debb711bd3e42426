"""Render the page: pure, from numbers that were read already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from scripts.watch.alerts.evaluate import Finding, State
from scripts.watch.html import templates

# What needs a person stands first.
_ORDER = (State.FIRING, State.OK, State.TOO_FEW, State.NO_DATA)


@dataclass(frozen=True, slots=True)
class Numbers:
    """What the page shows.

    Attributes:
        projects: one summary for each project, see `scripts.watch.exporter.summary`.
        findings: what each alert says now.
    """

    server: str
    taken: datetime
    projects: Sequence[dict[str, Any]]
    findings: Sequence[Finding]


def render(numbers: Numbers) -> str:
    """Return the HTML; it needs nothing from elsewhere."""
    environment = templates(Path(__file__).parent)
    environment.filters.update(number=_number, percent=_percent, period=_period)
    firing = [finding for finding in numbers.findings if finding.state is State.FIRING]
    return environment.get_template("page.html").render(
        server=numbers.server,
        taken=f"{numbers.taken:%Y-%m-%d %H:%M:%S} UTC",
        projects=numbers.projects,
        findings=sorted(numbers.findings, key=lambda one: (_ORDER.index(one.state), one.project)),
        firing=len(firing),
    )


def _number(value: float | None) -> str:
    """Return a number of four significant digits, thousands apart."""
    if value is None:
        return "-"
    if abs(value) >= 1000 or value == int(value):
        return f"{value:,.0f}"
    return f"{Decimal(f'{value:.4g}'):f}"  # 0.0000001 and not 1e-07


def _period(window: str) -> str:
    return {"day": "today", "month": "this month"}.get(window, window)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value * 100:.1f} %"
