"""Charts as the server draws them: bars and lines over time, in percent of a box that pages stretch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Values = Sequence[float | None]
_GAP = 0.15  # of a bar's place, left and right


@dataclass(frozen=True, slots=True)
class Series:
    """Values of one name over time, one a bucket; ``None`` where there is nothing."""

    name: str
    values: Values


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar with the number of its series and what it stands for."""

    x: float
    width: float
    y: float
    height: float
    series: int
    value: float
    bucket: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart: `bars` are stacked, `lines` are SVG paths, one a series; `top` and `bottom` are its scale."""

    buckets: Sequence[str]
    series: Sequence[Series]
    top: float
    bottom: float = 0
    bars: Sequence[Bar] = ()
    lines: Sequence[str] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to see."""
        return not self.bars and not any(self.lines)


def stacked(buckets: Sequence[str], series: Sequence[Series]) -> Chart:
    """Return bars, the series of a bucket on top of each other."""
    known = [Series(one.name, [_known(value) for value in one.values]) for one in series]
    sums = [sum(one.values[place] or 0 for one in known) for place in range(len(buckets))]
    top, step, bars = max(sums, default=0) or 1, 100 / max(len(buckets), 1), list[Bar]()
    for place, bucket in enumerate(buckets):
        base = 100.0
        for number, one in enumerate(known):
            value = one.values[place]
            if value:
                height = 100 * value / top
                base -= height
                bars.append(
                    Bar(
                        round(step * (place + _GAP), 3),
                        round(step * (1 - 2 * _GAP), 3),
                        round(base, 3),
                        round(height, 3),
                        number,
                        value,
                        bucket,
                    )
                )
    return Chart(buckets, known, top, bars=bars)


def lines(buckets: Sequence[str], series: Sequence[Series], *, is_fitted: bool = False) -> Chart:
    """Return a line for each series; buckets without a value are left out, and a line goes over them.

    The scale begins at 0, or at the lowest value where it is fitted to the values.
    """
    known = [Series(one.name, [_known(value) for value in one.values]) for one in series]
    found = [value for one in known for value in one.values if value is not None]
    top, bottom = max(found, default=0), min(found, default=0) if is_fitted else 0
    room = top - bottom
    step = 100 / max(len(buckets), 1)

    def y(value: float) -> float:
        share = max(value - bottom, 0) / room if room > 0 else 0.5 if is_fitted else 0
        return round(100 - 100 * share, 3)

    def path(values: Values) -> str:
        points = [
            f"{round(step * (place + 0.5), 3)} {y(value)}"
            for place, value in enumerate(values)
            if value is not None
        ]
        # The last part makes a dot of a single point.
        return f"M{' L'.join(points)} h0.01" if points else ""

    return Chart(buckets, known, top, bottom, lines=[path(one.values) for one in known])


def _known(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
