"""How full the disk was before: each look leaves a line, so that a trend can be seen."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.check.doctor.facts import Facts, Surroundings
from scripts.core.layout import Layout

from .machine import Machine

MOST_LINES = 2000
_DAY_S = 86_400.0
# A trend over less than this is noise: a download, a log that rotates.
SHORTEST_DAYS = 1.0


@dataclass(frozen=True, slots=True)
class DiskHistory:
    """Used bytes at earlier moments, oldest first: pairs of seconds since 1970 and bytes."""

    used: Sequence[tuple[float, int]]

    def days_until(self, total: int) -> float | None:
        """Return in how many days `total` bytes are used; None without a trend upwards over a day or more.

        The trend is a straight line through all points (least squares).
        """
        if len(self.used) < 2 or self.used[-1][0] - self.used[0][0] < SHORTEST_DAYS * _DAY_S:
            return None
        times = [moment for moment, _ in self.used]
        sizes = [size for _, size in self.used]
        mean_time, mean_size = sum(times) / len(times), sum(sizes) / len(sizes)
        spread = sum((moment - mean_time) ** 2 for moment in times)
        slope = sum((t - mean_time) * (s - mean_size) for t, s in self.used) / spread
        return (total - sizes[-1]) / slope / _DAY_S if slope > 0 else None


def history_file(layout: Layout) -> Path:
    """Return where the looks are kept."""
    return layout.stack_dir / "doctor" / "disk.jsonl"


def gather_disk_history(surroundings: Surroundings, facts: Facts) -> DiskHistory:
    """Return earlier looks and this one, which is kept for the next unless nothing may be written."""
    disk = facts.of(Machine).disk
    path = history_file(surroundings.context.layout)
    now = (surroundings.now.timestamp(), disk.total - disk.free)
    earlier = [tuple(json.loads(line)) for line in _lines(path)]
    used = [(float(moment), int(size)) for moment, size in earlier] + [now]
    if not surroundings.read_only and surroundings.context.layout.stack_dir.exists():
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.write_text("".join(f"{json.dumps(one)}\n" for one in used[-MOST_LINES:]), encoding="utf-8")
    return DiskHistory(used)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
