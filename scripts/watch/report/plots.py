"""Draw the plots of a report as SVG, which takes its colours from the page: pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from html import escape

from .model import OTHER, Day, Latency, Point
from .tables import number, usd

WIDTH, HEIGHT = 720, 220
LEFT, RIGHT, TOP, BOTTOM = 56, 8, 10, 24
TREND_WIDTH, TREND_HEIGHT = 220, 56
ROW, LABEL = 26, 190
LEAST_PLOTTED_S = 0.001


def cost_plot(days: Sequence[Day], models: Sequence[str]) -> str:
    """Return bars of the daily cost, split into these models and the others."""
    top = nice_ceiling(max((day.cost for day in days), default=0))
    plot_width, plot_height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    step = plot_width / max(1, len(days))
    parts = [_grid(top, plot_height)]
    for place, day in enumerate(days):
        x, y = LEFT + place * step, float(TOP + plot_height)
        shown = [(model, day.by_model.get(model, 0.0)) for model in models]
        others = day.cost - sum(cost for _, cost in shown)
        for colour, (model, cost) in enumerate([*shown, (OTHER, max(0.0, others))]):
            height = cost / top * plot_height
            if height <= 0:
                continue
            y -= height
            css = "other" if model == OTHER else f"c{colour}"
            parts.append(
                f'<rect class="{css}" x="{x + step * 0.1:.1f}" y="{y:.1f}" width="{step * 0.8:.1f}" '
                f'height="{height:.1f}"><title>{day.date} {escape(model)}: {usd(cost)} USD</title></rect>'
            )
        if place % 7 == (len(days) - 1) % 7:
            parts.append(f'<text x="{x + step / 2:.1f}" y="{HEIGHT - 6}" class="mid">{day.date[5:]}</text>')
    return _svg(WIDTH, HEIGHT, "Cost a day in USD", parts)


def trend_plot(name: str, points: Sequence[Point], first: str, days: int) -> str:
    """Return a line of the daily averages of a score; `first` is the day at the left edge."""
    low, high = min(point.average for point in points), max(point.average for point in points)
    room = (high - low) or abs(high) or 1.0
    places = [
        (
            4 + (TREND_WIDTH - 8) * _days_between(first, point.date) / max(1, days - 1),
            6 + (TREND_HEIGHT - 12) * (1 - (point.average - low) / room) if high > low else TREND_HEIGHT / 2,
        )
        for point in points
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5"><title>{point.date}: {number(point.average)} '
        f"({point.count} values)</title></circle>"
        for (x, y), point in zip(places, points, strict=True)
    ]
    label = f"{name}: daily average from {number(low)} to {number(high)}"
    return _svg(TREND_WIDTH, TREND_HEIGHT, label, [f'<polyline points="{line}"/>', *dots], css="trend")


def latency_plot(latencies: Sequence[Latency]) -> str:
    """Return for each group a line from p50 to p99 with a mark at p95, on a logarithmic axis of seconds."""
    measured = [one for one in latencies if None not in (one.p50, one.p95, one.p99)]
    values = [
        max(LEAST_PLOTTED_S, float(value)) for one in measured for value in (one.p50 or 0, one.p99 or 0)
    ]
    low = math.floor(math.log10(min(values, default=LEAST_PLOTTED_S)))
    high = max(low + 1, math.ceil(math.log10(max(values, default=1))))

    def across(seconds: float | None) -> float:
        share = (math.log10(max(LEAST_PLOTTED_S, seconds or 0)) - low) / (high - low)
        return LABEL + (WIDTH - LABEL - RIGHT - 20) * share

    height = ROW * len(measured) + BOTTOM
    parts = [
        f'<line class="grid" x1="{across(10.0**power):.1f}" x2="{across(10.0**power):.1f}" y1="0" '
        f'y2="{height - BOTTOM}"/><text class="mid" x="{across(10.0**power):.1f}" y="{height - 6}">'
        f"{10.0**power:g} s</text>"
        for power in range(low, high + 1)
    ]
    for place, one in enumerate(measured):
        y = ROW * place + ROW / 2
        text = f"{one.name}: p50 {one.p50:.3f} s, p95 {one.p95:.3f} s, p99 {one.p99:.3f} s"
        parts.append(
            f'<g><title>{escape(text)}</title><text x="0" y="{y + 4:.1f}">{escape(_short(one.name))}</text>'
            f'<line class="range" x1="{across(one.p50):.1f}" x2="{across(one.p99):.1f}" y1="{y}" y2="{y}"/>'
            f'<circle class="p50" cx="{across(one.p50):.1f}" cy="{y}" r="4"/>'
            f'<circle class="p95" cx="{across(one.p95):.1f}" cy="{y}" r="4"/></g>'
        )
    return _svg(WIDTH, height, "Latency from p50 to p99", parts)


def nice_ceiling(value: float) -> float:
    """Return the next greater 1, 2 or 5 times a power of ten; 1 for nothing."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-12))


def _grid(top: float, plot_height: float) -> str:
    lines = []
    for share in (0, 0.5, 1):
        y = TOP + plot_height * (1 - share)
        lines.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{LEFT - 8}" y="{y + 4:.1f}" class="end">{top * share:g}</text>'
        )
    return "".join(lines)


def _svg(width: int, height: float, label: str, parts: Sequence[str], css: str = "plot") -> str:
    body = "".join(parts)
    frame = f'class="{css}" viewBox="0 0 {width} {height:g}" role="img" aria-label="{escape(label)}"'
    return f"<svg {frame}>{body}</svg>"


def _days_between(first: str, second: str) -> int:
    return (date.fromisoformat(second) - date.fromisoformat(first)).days


def _short(name: str) -> str:
    return name if len(name) <= 28 else f"{name[:27]}…"
