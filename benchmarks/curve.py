"""What a span costs by how many are stored: CPU, reads, aggregates, memory, disk, from 10,000 spans on.

    python -m benchmarks.curve [--upto 2000000] [--plot docs/reference/images/cost-by-size.svg]

CPU time is measured and not only speed: on a machine with other work it says what the engine does. A loop of
plain Python, timed all along, shows how much the machine itself changed meanwhile.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.embedded.harness import RunningEngine

from .curve_plot import Panel, svg
from .harness import Bench, fresh_engine, loop_ms, percentile

_SIZES = (10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 1_500_000, 2_000_000)
_STEP = 10_000


@dataclass(frozen=True, slots=True)
class Point:
    """What was measured on the way to `stored` spans, and there. Times in microseconds and milliseconds."""

    stored: int
    spans_per_second: float
    cpu: tuple[float, float, float]
    """A span, in server, writer and mapper."""
    read: list[float]
    aggregate: list[float]
    megabytes: float
    memory: float
    """Of all processes, in MB."""
    calibration: float

    @property
    def per_100k(self) -> float:
        """Megabytes of the event store per 100,000 spans."""
        return self.megabytes / self.stored * 100_000


def measure(bench: Bench, sizes: list[int], console: Console) -> list[Point]:
    """Fill the engine up to each size in turn; return one point for each."""
    points = []
    for before, size in pairwise([0, *sizes]):
        cpu = bench.cpu_by_process()
        seconds, loops = 0.0, []
        for start in range(before, size, _STEP):
            spans = min(_STEP, size - start)
            seconds += spans / bench.ingest(spans, seed=start)
            loops.append(loop_ms())
        used = [
            (now - then) / (size - before) * 1e6
            for then, now in zip(cpu, bench.cpu_by_process(), strict=True)
        ]
        bench.wait_for_rest()
        server, writer, mapper = used
        points.append(
            Point(
                stored=size,
                spans_per_second=(size - before) / seconds,
                cpu=(server, writer, mapper),
                read=[took * 1000 for took in bench.read(1)],
                # The first one waits for the rows that the projection has not copied yet.
                aggregate=[took * 1000 for took in bench.aggregate()[1:]],
                megabytes=bench.disk(),
                memory=bench.memory(),
                calibration=statistics.median(loops),
            )
        )
        console.log(f"{size:,} spans")
    return points


def table(points: list[Point]) -> Table:
    """Return the points as a table."""
    result = Table(
        "spans",
        "spans/s",
        "CPU a span: server + writer + mapper",
        "trace read p50 / p95",
        "aggregate p50 / p95",
        "MB per 100k",
        "resident MB",
        "loop",
    )
    for point in points:
        server, writer, mapper = point.cpu
        result.add_row(
            f"{point.stored:,}",
            f"{point.spans_per_second:,.0f}",
            f"{server:.0f} + {writer:.0f} + {mapper:.0f} = {sum(point.cpu):.0f} us",
            _pair(point.read),
            _pair(point.aggregate),
            f"{point.per_100k:.0f}",
            f"{point.memory:.0f}",
            f"{point.calibration:.2f} ms",
        )
    return result


def _pair(milliseconds: list[float]) -> str:
    return f"{statistics.median(milliseconds):.2f} / {percentile(milliseconds, 0.95):.2f} ms"


def plot(points: list[Point]) -> str:
    """Return the points as an SVG."""
    server, writer, mapper = zip(*(point.cpu for point in points), strict=True)
    return svg(
        [point.stored for point in points],
        [
            Panel(
                "CPU a span (microseconds) by spans stored",
                {"mapper": mapper, "writer": writer, "server": server},
            ),
            Panel(
                "Read of a trace (milliseconds)",
                {
                    "median": [statistics.median(point.read) for point in points],
                    "p95": [percentile(point.read, 0.95) for point in points],
                },
            ),
            Panel(
                "Aggregate by model over all spans (milliseconds)",
                {
                    "median": [statistics.median(point.aggregate) for point in points],
                    "p95": [percentile(point.aggregate, 0.95) for point in points],
                },
            ),
            Panel("Disk per 100,000 spans (MB)", {"events.db": [point.per_100k for point in points]}),
        ],
        "Cost of a span by the number of spans stored",
    )


def _start_again(engine: RunningEngine) -> float:
    """Return the seconds that a start takes on the data that is there."""
    engine.stop()
    begin = time.perf_counter()
    engine.start()
    return time.perf_counter() - begin


def main() -> None:
    """Measure, print, and write the plot when a file is named."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--upto", type=int, default=2_000_000, help="spans stored at the end")
    parser.add_argument("--plot", type=Path, help="file for the SVG")
    arguments = parser.parse_args()
    console = Console()
    with fresh_engine() as (engine, _):
        bench = Bench(engine)
        bench.warm_up()
        sizes = [size for size in _SIZES if size < arguments.upto] + [arguments.upto]
        points = measure(bench, sizes, console)
        start = _start_again(engine)
    console.print(table(points))
    console.print(f"start with {arguments.upto:,} spans: {start * 1000:.0f} ms")
    if arguments.plot is not None:
        arguments.plot.write_text(plot(points), "utf-8")


if __name__ == "__main__":
    main()
