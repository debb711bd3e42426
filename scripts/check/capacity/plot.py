"""Draw how the disks fill from the first day on, as an SVG file for light and dark pages: pure."""

from __future__ import annotations

import math

from .model import MERGES, Load, objects_gib, stored_gib

WIDTH, HEIGHT = 720, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 130, 16, 36
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#333}.grid{stroke:#ccc}.clickhouse{stroke:#2563eb}"
    ".objects{stroke:#d97706}polyline{fill:none;stroke-width:2}.end{text-anchor:end}.mid{text-anchor:middle}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}.grid{stroke:#555}.clickhouse{stroke:#60a5fa}"
    ".objects{stroke:#fbbf24}}"
)


def disk_plot(load: Load) -> str:
    """Return the disk of ClickHouse (with room for merges) and of the object store by day, in GiB."""
    days = max(load.retention_days, load.events_days) + 14
    lines = {
        "clickhouse": [stored_gib(load, day) * MERGES.value for day in range(days + 1)],
        "objects": [objects_gib(load, day) for day in range(days + 1)],
    }
    top = nice_ceiling(max(max(values) for values in lines.values()))

    def place(day: int, gib: float) -> tuple[float, float]:
        across = LEFT + (WIDTH - LEFT - RIGHT) * day / days
        return across, TOP + (HEIGHT - TOP - BOTTOM) * (1 - gib / top)

    parts = [f"<style>{_STYLE}</style>"]
    for share in (0, 0.5, 1):
        x, y = place(0, top * share)
        parts.append(f'<line class="grid" x1="{x}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="end" x="{x - 8}" y="{y + 4:.1f}">{top * share:g}</text>')
    parts += [
        f'<text class="mid" x="{place(day, 0)[0]:.1f}" y="{HEIGHT - 16}">{day}</text>'
        for day in (0, load.events_days, load.retention_days)
    ]
    parts.append(
        f'<text class="mid" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 2}">days, disk in GiB</text>'
    )
    for name, values in lines.items():
        points = " ".join("{:.1f},{:.1f}".format(*place(day, gib)) for day, gib in enumerate(values))
        x, y = place(days, values[-1])
        parts.append(f'<polyline class="{name}" points="{points}"/>')
        parts.append(f'<text x="{x + 8:.1f}" y="{y + 4:.1f}">{name}, {values[-1]:,.0f}</text>')
    frame = f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
    return f'<svg {frame} aria-label="Disk by day">{"".join(parts)}</svg>\n'


def nice_ceiling(value: float) -> float:
    """Return the next greater 1, 2 or 5 times a power of ten; 1 for nothing."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-12))
