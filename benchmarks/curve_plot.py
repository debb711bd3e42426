"""The curve of cost by size as an SVG of its own: no plotting library, readable on light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_WIDTH, _PANEL, _GAP = 720, 190, 56
_LEFT, _RIGHT, _TOP = 64, 24, 40
_STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .title { font-weight: 600 }
  .grid { stroke: #d0d7de; stroke-width: 1 }
  .line { fill: none; stroke-width: 2 }
  .a { stroke: #0969da; fill: #0969da } .b { stroke: #cf222e; fill: #cf222e }
  .c { stroke: #1a7f37; fill: #1a7f37 } .d { stroke: #8250df; fill: #8250df }
  text.a, text.b, text.c, text.d { stroke: none }
  polyline { fill: none !important }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .grid { stroke: #444c56 }
    .a { stroke: #58a6ff; fill: #58a6ff } .b { stroke: #ff7b72; fill: #ff7b72 }
    .c { stroke: #3fb950; fill: #3fb950 } .d { stroke: #bc8cff; fill: #bc8cff }
  }"""


@dataclass(frozen=True, slots=True)
class Panel:
    """One diagram: its title with the unit, and lines by name."""

    title: str
    lines: dict[str, Sequence[float]]


def svg(sizes: Sequence[int], panels: Sequence[Panel], caption: str) -> str:
    """Return the panels over one logarithmic axis of `sizes`; every line has as many values."""
    height = _TOP + len(panels) * (_PANEL + _GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
        f"<title>{caption}</title>",
        f"<style>{_STYLE}\n</style>",
    ]
    for number, panel in enumerate(panels):
        parts += _panel(sizes, panel, _TOP + number * (_PANEL + _GAP))
    return "\n".join([*parts, "</svg>", ""])


def _panel(sizes: Sequence[int], panel: Panel, top: int) -> list[str]:
    bottom, right = top + _PANEL, _WIDTH - _RIGHT
    ceiling = _ceiling(max(max(values) for values in panel.lines.values()))
    x = _scale(math.log10(sizes[0]), math.log10(sizes[-1]), _LEFT, right)
    y = _scale(0, ceiling, bottom, top)
    parts = [f'<text class="title" x="{_LEFT}" y="{top - 22}">{panel.title}</text>']
    for step in range(5):
        value = ceiling * step / 4
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
        )
        parts.append(f'<text x="{_LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{_short(value)}</text>')
    middles = [(x(math.log10(size)), _short(size)) for size in sizes]
    parts += [
        f'<text x="{at:.1f}" y="{bottom + 18}" text-anchor="middle">{text}</text>' for at, text in middles
    ]
    for number, (name, values) in enumerate(panel.lines.items()):
        color = "abcd"[number]
        places = [(x(math.log10(size)), y(value)) for size, value in zip(sizes, values, strict=True)]
        points = " ".join(f"{across:.1f},{down:.1f}" for across, down in places)
        parts.append(f'<polyline class="line {color}" points="{points}"/>')
        parts += [f'<circle class="{color}" cx="{a:.1f}" cy="{d:.1f}" r="2.5"/>' for a, d in places]
        parts.append(f'<text class="{color}" x="{_LEFT + number * 130}" y="{top - 6}">{name}</text>')
    return parts


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    return lambda value: start + (value - low) / (high - low) * (end - start)


def _ceiling(value: float) -> float:
    """Return the next round number from `value` on: 1, 2, 4 or 8 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * factor for factor in (1, 2, 4, 8, 10) if power * factor >= value)


def _short(value: float) -> str:
    for limit, suffix in ((1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:g}{suffix}"
    return f"{value:g}"
