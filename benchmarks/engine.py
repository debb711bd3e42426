"""How fast the embedded engine is, and how much it takes: one table.

    python -m benchmarks.engine [--spans 100000]

An engine process of its own on a fresh data directory; the load of `benchmarks/load.py` over four
connections, encoded before the clock starts; an export counts when it is answered, which is when it is on
disk and readable. CPU per span is given too: on a busy machine it says more than spans per second.
"""

from __future__ import annotations

import argparse
import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.table import Table

from .harness import CONNECTIONS, Bench, fresh_engine, loop_ms, percentile
from .load import SPANS_PER_EXPORT, SPANS_PER_TRACE, TRACES_PATH, Export, exports


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--spans", type=int, default=100_000, help="stored before reads are measured")
    arguments = parser.parse_args()
    console = Console()
    with fresh_engine() as (engine, start_seconds):
        bench = Bench(engine)
        bench.row("start until ready", f"{start_seconds * 1000:.0f} ms", "< 500 ms")
        memory, busy = bench.idle()
        bench.row("resident, idle (PSS of all processes)", f"{memory:.0f} MB, {busy:.1f} % CPU", "< 100 MB")
        _measure(bench, arguments.spans)
        _print(console, bench)


def _measure(bench: Bench, spans: int) -> None:
    bench.warm_up()
    step = 20_000
    bench.seconds.clear()
    before, stored_before = bench.cpu(), len(bench.stored)
    speeds, loops = [], []
    for number in range(max(1, spans // step)):
        loops.append(loop_ms())
        speeds.append(bench.ingest(min(step, spans), seed=100 + number))
    bench.row(
        "spans/s acknowledged and readable",
        f"{statistics.median(speeds):,.0f} (best {max(speeds):,.0f})",
        ">= 10,000",
    )
    spent = (bench.cpu() - before) / ((len(bench.stored) - stored_before) * SPANS_PER_TRACE)
    bench.row("CPU per span, all processes", f"{spent * 1e6:.0f} us")
    bench.row(f"export of {SPANS_PER_EXPORT} spans, {CONNECTIONS} connections, p50/p95", _ms(bench.seconds))
    small, readable = bench.latency()
    bench.row("export of one trace, p50/p95", _ms(small))
    bench.row("answer until readable, p50/p95", _ms(readable), "p95 < 5 ms")
    stored = len(bench.stored) * SPANS_PER_TRACE
    bench.row(f"trace read at {stored:,} spans, 1 reader, p50/p95", _ms(bench.read(1)), "< 2 / < 5 ms")
    bench.row("the same, 8 readers", _ms(bench.read(8)))
    with _steady_load(bench):
        bench.row("the same, 8 readers during 1,000 spans/s", _ms(bench.read(8)), "p95 < 15 ms")
    first, *rest = bench.aggregate()
    bench.row("aggregate by model, p50/p95", f"{_ms(rest)} (first {first * 1000:.0f} ms)", "< 10 ms")
    bench.wait_for_rest()
    bench.row("disk per 100k spans", f"{bench.disk() / stored * 100_000:.0f} MB", "< 80 MB")
    memory, _ = bench.idle()
    bench.row("resident after the load (PSS)", f"{memory:.0f} MB")
    bench.row("for comparison: a loop of plain Python", f"{statistics.median(loops):.2f} ms")


@contextmanager
def _steady_load(bench: Bench) -> Iterator[None]:
    load: list[Export] = exports(20_000, seed=7)
    stop = threading.Event()

    def work() -> None:
        connection = bench.connect()
        for one in load:
            if stop.wait(SPANS_PER_EXPORT / 1000):
                break
            connection.call("POST", TRACES_PATH, one.body)
        connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _print(console: Console, bench: Bench) -> None:
    table = Table("what", "measured", "goal", title="Embedded engine")
    for row in bench.rows:
        table.add_row(*row)
    console.print(table)


def _ms(seconds: list[float]) -> str:
    return f"{statistics.median(seconds) * 1000:.1f} / {percentile(seconds, 0.95) * 1000:.1f} ms"


if __name__ == "__main__":
    main()
