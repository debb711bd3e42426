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
    """A chart: `bars` are stacked, `lines` are SVG paths, one a series, `top` is the value at the top."""

    buckets: Sequence[str]
    series: Sequence[Series]
    top: float
    bars: Sequence[Bar] = ()
    lines: Sequence[str] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to see."""
        return all(value is None or value == 0 for one in self.series for value in one.values)


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


def lines(buckets: Sequence[str], series: Sequence[Series], top: float | None = None) -> Chart:
    """Return a line for each series; buckets without a value are left out, and a line goes over them."""
    known = [Series(one.name, [_known(value) for value in one.values]) for one in series]
    highest = max((value for one in known for value in one.values if value is not None), default=0)
    top = max(highest, top or 0) or 1
    step = 100 / max(len(buckets), 1)
    return Chart(buckets, known, top, lines=[_path(one.values, step, top) for one in known])


def _path(values: Values, step: float, top: float) -> str:
    points = [
        f"{round(step * (place + 0.5), 3)} {round(100 - 100 * max(value, 0) / top, 3)}"
        for place, value in enumerate(values)
        if value is not None
    ]
    # The last part makes a dot of a single point.
    return f"M{' L'.join(points)} h0.01" if points else ""


def _known(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
