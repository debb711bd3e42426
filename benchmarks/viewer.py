"""How long pages of the viewer take: time to first byte over HTTP, one visitor, one page after the other.

The CPU time of the server is measured beside it: on a machine with other work it says what a page costs.

    python -m benchmarks.viewer --rows 100000 --rows 1000000
    python -m benchmarks.viewer --rows 1000000 --keep DIR      the data is made once, and used again

Rows are seeded past the API (see `benchmarks.metrics`), so all observations share one block of texts: reading
long texts from many blocks is not part of this.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
from rich.console import Console
from rich.table import Table

from tests.embedded.harness import RunningEngine
from tests.embedded.spans import send, span
from tests.embedded.viewer_client import visitor

from .metrics import seed

_COPY_SECONDS = 300
MIDDLE = 1_768_478_400_000  # 2026-01-15 12:00
_MONTH = "from=2026-01-01&to=2026-02-01"
_PAGES = {
    "overview of a month": f"/overview?{_MONTH}",
    "traces": "/traces",
    "traces of a week, the most expensive first": "/traces?from=2026-01-10&to=2026-01-17&sort=cost",
    "traces with a score below 0.5": "/traces?score=score-0&max=0.5",
    "traces that have a text": "/traces?text=answer",
    "observations": "/observations",
    "slowest generations": "/observations?type=GENERATION&sort=latency",
    "slowest of a day": "/observations?type=GENERATION&sort=latency&from=2026-01-10&to=2026-01-11",
    "page 100 of observations": "/observations?page=100",
    "observations of a model and tag": "/observations?model=hermes-1&tag=alpha",
    "sessions": "/sessions",
    "users by cost": "/users?sort=cost",
    "one trace": "/traces/{trace}",
    "one session": "/sessions/session-7",
    "scores": "/scores",
    "CSV of 10,000 observations": "/observations?format=csv",
}


def first_byte(visit: httpx.Client, url: str) -> float:
    """Return after how many milliseconds the answer began.

    Raises:
        httpx.HTTPStatusError: it is not a page.
    """
    begin = time.perf_counter()
    with visit.stream("GET", url) as answer:
        seconds = time.perf_counter() - begin
        answer.raise_for_status()
        answer.read()
    return seconds * 1000


@dataclass(frozen=True, slots=True)
class Measured:
    """Milliseconds to the first byte of each visit, and of CPU of the server a visit after a change."""

    waited: list[float]
    changed: list[float]
    """The same where something was stored before each visit: no count is known then."""
    cpu: float


def measure(rows: int, times: int, keep: Path | None, only: str) -> dict[str, Measured]:
    """Return what each page took whose name has `only`, after one visit that is not counted.

    The data directory is made below `keep`, or used where it is there.
    """
    with tempfile.TemporaryDirectory(prefix="langfuse-viewer-") as directory:
        data = (keep or Path(directory)) / f"data-{rows}"
        data.parent.mkdir(parents=True, exist_ok=True)
        if not data.exists():
            fresh = data.with_name(f"{data.name}.fresh")
            RunningEngine(fresh).start().stop()
            seed(fresh, rows)
            fresh.rename(data)
        running = RunningEngine(data).start()
        try:
            project = f"/project/{running.keys.project_id}"
            with visitor(running.base_url) as visit:
                visit.timeout = httpx.Timeout(120)
                _wait_until_copied(visit, f"{project}/overview?{_MONTH}")
                listed = visit.get(f"{project}/traces?format=csv").text.splitlines()
                trace = listed[1].partition(",")[0]
                server = psutil.Process(running.pid)
                found: dict[str, Measured] = {}
                for name, path in _PAGES.items():
                    if only not in name:
                        continue
                    url = project + path.format(trace=trace)
                    first_byte(visit, url)
                    waited = [first_byte(visit, url) for _ in range(times)]
                    changed, used = [], 0.0
                    for _ in range(times):
                        _store_one(running)
                        before = server.cpu_times()
                        changed.append(first_byte(visit, url))
                        after = server.cpu_times()
                        used += after.user + after.system - before.user - before.system
                    found[name] = Measured(waited, changed, used * 1000 / times)
                return found
        finally:
            running.stop()


def _store_one(running: RunningEngine) -> None:
    trace = os.urandom(16).hex()
    # In the midst of the others: no range of time becomes longer.
    send(running.client, span(trace, "one more", start=MIDDLE, duration=10))


def _wait_until_copied(visit: httpx.Client, url: str) -> None:
    """Ask for a page until it comes: copying many rows may take longer than a query may."""
    deadline = time.monotonic() + _COPY_SECONDS
    while visit.get(url).status_code == 503 and time.monotonic() < deadline:
        pass
    visit.get(url).raise_for_status()


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, action="append", help="observations (default: 100,000)")
    parser.add_argument("--times", type=int, default=15, help="visits of each page")
    parser.add_argument("--keep", type=Path, help="a directory for the data, which stays")
    parser.add_argument("--only", default="", help="pages whose name has this")
    arguments = parser.parse_args()
    for rows in arguments.rows or [100_000]:
        table = Table(f"{rows:,} observations", "least", "p50", "least, changed", "p50, changed", "CPU")
        for name, one in measure(rows, arguments.times, arguments.keep, arguments.only).items():
            waits = (
                part for some in (one.waited, one.changed) for part in (min(some), statistics.median(some))
            )
            figures = (*waits, one.cpu)
            table.add_row(name, *(f"{figure:.0f}" for figure in figures))
        Console(width=110).print(table)


if __name__ == "__main__":
    main()
