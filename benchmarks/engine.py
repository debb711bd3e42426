"""How fast the embedded engine is, and how much it takes: one table.

    python -m benchmarks.engine [--spans 100000] [--curve 2000000]

An engine process of its own on a fresh data directory; the load of `benchmarks/load.py` over four
connections, encoded before the clock starts; an export counts when it is answered, which is when it is on
disk and readable. CPU per span is given too: on a busy machine it says more than spans per second.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from urllib.parse import quote, urlsplit

import psutil
from rich.console import Console
from rich.table import Table

from tests.embedded.harness import DEFAULT_KEYS, RunningEngine

from .load import (
    SPANS_PER_EXPORT,
    SPANS_PER_TRACE,
    TRACES_PATH,
    Connection,
    Export,
    export,
    exports,
    send_all,
)

_CONNECTIONS = 4
_READS = 400
_LATENCIES = 60
# At its start the engine brings the price list up to date in a process that ends.
_SETTLE_SECONDS = 3.0
_IDLE_SECONDS = 3.0
_REST_SECONDS = 60.0
READ_PATH = "/api/public/v2/observations?fields=core,basic,io&traceId="
AGGREGATE = {
    "view": "observations",
    "dimensions": [{"field": "providedModelName"}],
    "metrics": [
        {"measure": "latency", "aggregation": "avg"},
        {"measure": "totalTokens", "aggregation": "sum"},
        {"measure": "totalCost", "aggregation": "sum"},
    ],
    "filters": [],
    "fromTimestamp": "2020-01-01T00:00:00Z",
    "toTimestamp": "2100-01-01T00:00:00Z",
}


class Bench:
    """Measures one running engine; keeps the rows of the table."""

    def __init__(self, engine: RunningEngine) -> None:
        self.engine = engine
        self.stored: list[str] = []
        self.seconds: list[float] = []
        self.rows: list[tuple[str, str, str]] = []

    def connect(self) -> Connection:
        """Return a new connection with the project's keys."""
        address = urlsplit(self.engine.base_url)
        assert address.hostname is not None
        assert address.port is not None
        return Connection(address.hostname, address.port, {"authorization": DEFAULT_KEYS.header})

    def ingest(self, spans: int, seed: int) -> float:
        """Send spans as fast as they are answered; return spans per second, acknowledged and readable."""
        sent = send_all(self.connect, exports(spans, seed), _CONNECTIONS)
        assert not sent.refused, sent.refused
        self.stored += [trace_id for one in sent.acknowledged for trace_id in one.trace_ids]
        self.seconds += sent.seconds
        return spans / sent.wall

    def latency(self) -> tuple[list[float], list[float]]:
        """Return seconds a small export takes, and seconds from its answer until its trace was read whole."""
        random, posts, reads = Random(1), [], []
        connection = self.connect()
        for _ in range(_LATENCIES):
            one = export(random, 1)
            begin = time.perf_counter()
            assert connection.call("POST", TRACES_PATH, one.body)[0] == 200
            answered = time.perf_counter()
            while self._read(connection, one.trace_ids[0]) < SPANS_PER_TRACE:
                pass
            posts.append(answered - begin)
            reads.append(time.perf_counter() - answered)
        connection.close()
        return posts, reads

    def read(self, readers: int) -> list[float]:
        """Return the seconds that reads of whole traces take, by several readers at once."""
        wanted = iter(Random(readers).choices(self.stored, k=_READS))
        lock, seconds = threading.Lock(), list[float]()

        def work() -> None:
            connection = self.connect()
            while True:
                with lock:
                    trace_id = next(wanted, None)
                if trace_id is None:
                    break
                begin = time.perf_counter()
                found = self._read(connection, trace_id)
                seconds.append(time.perf_counter() - begin)
                assert found == SPANS_PER_TRACE, trace_id
            connection.close()

        threads = [threading.Thread(target=work) for _ in range(readers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(seconds) == _READS
        return seconds

    def aggregate(self) -> list[float]:
        """Return the seconds that an aggregate by model takes; the first one fills the projection."""
        connection, seconds = self.connect(), []
        for _ in range(21):
            begin = time.perf_counter()
            status, _ = connection.call("GET", f"/api/public/v2/metrics?query={quote(json.dumps(AGGREGATE))}")
            seconds.append(time.perf_counter() - begin)
            assert status == 200
        connection.close()
        return seconds

    def warm_up(self) -> None:
        """Send the first spans: modules are imported with them, prices read, connections opened."""
        self.ingest(2000, seed=1)

    def cpu(self) -> float:
        """Return the CPU seconds that all processes have used so far."""
        return sum(self.cpu_by_process())

    def cpu_by_process(self) -> list[float]:
        """Return the CPU seconds that server, writer and mapper have used so far."""
        return [_cpu_seconds(process) for process in self.processes()]

    def wait_for_rest(self) -> None:
        """Wait until the engine has nothing left to tidy up: the write-ahead log is folded into the file."""
        log = self.engine.data_dir / "events.db-wal"
        deadline = time.monotonic() + _REST_SECONDS
        while log.stat().st_size and time.monotonic() < deadline:
            time.sleep(0.05)

    def idle(self) -> tuple[float, float]:
        """Return the proportional memory of all processes in MB, and their CPU use in percent of a core."""
        time.sleep(_SETTLE_SECONDS)
        before = self.cpu()
        time.sleep(_IDLE_SECONDS)
        used = self.cpu() - before
        return self.memory(), used / _IDLE_SECONDS * 100

    def memory(self) -> float:
        """Return the proportional memory of all processes in MB."""
        return sum(process.memory_full_info().pss for process in self.processes()) / 2**20

    def processes(self) -> list[psutil.Process]:
        """Return the server and its children."""
        server = psutil.Process(self.engine.pid)
        return [server, *server.children(recursive=True)]

    def disk(self) -> float:
        """Return the size of the event store in MB."""
        return sum(path.stat().st_size for path in self.engine.data_dir.glob("events.db*")) / 2**20

    def row(self, what: str, value: str, goal: str = "") -> None:
        """Add a line to the table."""
        self.rows.append((what, value, goal))

    def _read(self, connection: Connection, trace_id: str) -> int:
        status, body = connection.call("GET", READ_PATH + trace_id)
        assert status == 200, body
        return len(json.loads(body)["data"])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--spans", type=int, default=100_000, help="stored before reads are measured")
    parser.add_argument("--curve", type=int, default=0, help="then show the cost by size, up to this number")
    parser.add_argument("--plot", type=Path, help="file for the curve as SVG")
    arguments = parser.parse_args()
    console = Console()
    with fresh_engine() as (engine, start_seconds):
        bench = Bench(engine)
        bench.row("start until ready", f"{start_seconds * 1000:.0f} ms", "< 500 ms")
        memory, busy = bench.idle()
        bench.row("resident, idle (PSS of all processes)", f"{memory:.0f} MB, {busy:.1f} % CPU", "< 100 MB")
        _measure(bench, arguments.spans)
        _print(console, bench)
    if arguments.curve:
        from .curve import run

        run(console, arguments.curve, arguments.plot)


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
    bench.row(f"export of {SPANS_PER_EXPORT} spans, {_CONNECTIONS} connections, p50/p95", _ms(bench.seconds))
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
def fresh_engine() -> Iterator[tuple[RunningEngine, float]]:
    """Start an engine on an empty directory; give it and the seconds that its second start took."""
    with tempfile.TemporaryDirectory(prefix="bench-engine-") as directory:
        engine = RunningEngine(Path(directory) / "data")
        engine.start()
        engine.stop()
        # The second start counts: the first writes the schema and the price list.
        begin = time.perf_counter()
        engine.start()
        seconds = time.perf_counter() - begin
        try:
            yield engine, seconds
        finally:
            engine.stop()


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


def loop_ms() -> float:
    """Return the milliseconds of CPU that a loop takes: how fast this machine is at this moment."""
    begin = time.process_time()
    for _ in range(40_000):
        pass
    return (time.process_time() - begin) * 1000


def percentile(values: list[float], part: float) -> float:
    """Return the value that `part` (0 to 1) of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def _ms(seconds: list[float]) -> str:
    return f"{statistics.median(seconds) * 1000:.1f} / {percentile(seconds, 0.95) * 1000:.1f} ms"


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main()
