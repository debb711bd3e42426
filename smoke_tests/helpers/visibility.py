"""Collect how long spans and scores took to become readable, and print it at the end of the run."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pytest

PROPERTY = "seconds until readable"

WAYS = {
    "span": "end of flush -> v2/observations",
    "score": "end of flush -> v3/scores",
}


def record(record_property: Callable[[str, object], None], kind: str, seconds: float) -> None:
    """Keep one measured time with the running test's report (which xdist carries to the main process)."""
    record_property(f"{PROPERTY}: {kind}", seconds)


def summary(reports: Iterable[pytest.TestReport]) -> list[str]:
    """Return a line for each kind of data: median and maximum of its times in seconds, and their number."""
    lines = []
    properties = [prop for report in reports if report.when == "call" for prop in report.user_properties]
    for kind, way in WAYS.items():
        times = [float(str(value)) for name, value in properties if name == f"{PROPERTY}: {kind}"]
        if times:
            lines.append(
                f"{kind:<6} median {statistics.median(times):6.3f} s   max {max(times):6.3f} s   "
                f"n={len(times)}   {way}"
            )
    return lines
