"""An engine to measure: started on an empty directory, loaded over several connections, read and watched."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from urllib.parse import quote, urlsplit

import psutil

from tests.embedded.harness import DEFAULT_KEYS, RunningEngine

from .load import SPANS_PER_TRACE, TRACES_PATH, Connection, export, exports, send_all

CONNECTIONS = 4
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
        sent = send_all(self.connect, exports(spans, seed), CONNECTIONS)
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


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
