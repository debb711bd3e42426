"""The same load against the embedded engine and other trace servers, one after the other in one run.

    python -m benchmarks.compare [--spans 5000] [--venvs DIRECTORY] [--only Phoenix]

Each server gets an empty directory, the load of `benchmarks/load.py` over four connections, and the same
reads. A span counts when the server shows it. Machines differ, so compare the columns and not with figures
from elsewhere.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from random import Random

from rich.console import Console
from rich.table import Table

from .harness import percentile
from .load import SPANS_PER_TRACE, Export, export, exports, send_all
from .peers import SERVERS, Server

_CONNECTIONS = 4
_READS = 200
_LATENCIES = 30
_AGGREGATES = 11
_VISIBLE_SECONDS = 300.0
_SHOWN_SECONDS = 20.0


@dataclass(slots=True)
class Result:
    """What was measured of one server, as rows of the table."""

    server: str
    rows: dict[str, str] = field(default_factory=dict)


def measure(server: Server, load: list[Export]) -> Result:
    """Start the server, measure, stop it."""
    result = Result(server.requirement.replace("==", " ") or server.name)
    begin = time.perf_counter()
    try:
        server.start()
        _post_until_taken(server, export(Random(0), 1))
        result.rows["start until the first accepted export"] = f"{time.perf_counter() - begin:.1f} s"
        time.sleep(3)
        memory = sum(process.memory_full_info().pss for process in server.processes())
        result.rows["resident when idle (PSS)"] = f"{memory / 2**20:,.0f} MB"
        result.rows["spans/s visible"] = f"{_ingest(server, load):,.0f}"
        result.rows["answer until visible, p50 / p95"] = _ms(_latencies(server))
        trace_ids = [trace_id for one in load for trace_id in one.trace_ids]
        for readers in (1, 8):
            name = f"trace read, {readers} reader{'s' * (readers > 1)}, p50 / p95"
            result.rows[name] = _ms(_read(server, trace_ids, readers))
        result.rows["aggregate by model, p50 / p95"] = _ms(_aggregates(server)[1:])
    finally:
        server.stop()
    size = sum(path.stat().st_size for path in server.directory.rglob("*") if path.is_file())
    spans = len(load) * SPANS_PER_TRACE * len(load[0].trace_ids)
    result.rows["disk per 100,000 spans"] = f"{size / 2**20 / spans * 100_000:,.0f} MB"
    return result


# Each phase opens connections of its own: servers close those that rest.


def _post_until_taken(server: Server, one: Export) -> None:
    """Send an export until it is taken and shown: a server that starts may drop connections."""
    deadline = time.monotonic() + _VISIBLE_SECONDS
    while not _is_shown(server, one):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{server.name} does not take an export, or does not show it")
        time.sleep(0.02)


def _is_shown(server: Server, one: Export) -> bool:
    try:
        with closing(server.connect()) as connection:
            if connection.call("POST", server.traces_path, one.body)[0] not in (200, 202):
                return False
            deadline = time.monotonic() + _SHOWN_SECONDS
            while server.read(connection, one.trace_ids[0]) < SPANS_PER_TRACE:
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.02)
    except (OSError, HTTPException):
        return False
    return True


def _ingest(server: Server, load: list[Export]) -> float:
    """Return spans per second from the first export until all are counted."""
    spans = len(load) * SPANS_PER_TRACE * len(load[0].trace_ids)
    with closing(server.connect()) as connection:
        stored = server.count(connection)
    begin = time.perf_counter()
    sent = send_all(server.connect, load, _CONNECTIONS, path=server.traces_path)
    if sent.refused or len(sent.acknowledged) != len(load):
        raise RuntimeError(f"{server.name} refused exports: {sent.refused}")
    with closing(server.connect()) as connection:
        while server.count(connection) - stored < spans:
            if time.perf_counter() - begin > _VISIBLE_SECONDS:
                raise TimeoutError(f"{server.name} does not show all spans")
            time.sleep(0.05)
    return spans / (time.perf_counter() - begin)


def _latencies(server: Server) -> list[float]:
    """Return seconds from the answer to a small export until all its spans are read."""
    random, seconds = Random(1), []
    with closing(server.connect()) as connection:
        for _ in range(_LATENCIES):
            one = export(random, 1)
            connection.call("POST", server.traces_path, one.body)
            answered = time.perf_counter()
            while server.read(connection, one.trace_ids[0]) < SPANS_PER_TRACE:
                time.sleep(0.001)
            seconds.append(time.perf_counter() - answered)
    return seconds


def _aggregates(server: Server) -> list[float]:
    with closing(server.connect()) as connection:
        return [_timed(lambda: server.aggregate(connection)) for _ in range(_AGGREGATES)]


def _read(server: Server, trace_ids: list[str], readers: int) -> list[float]:
    wanted = iter(Random(readers).choices(trace_ids, k=_READS))
    lock, seconds = threading.Lock(), list[float]()

    def work() -> None:
        with closing(server.connect()) as connection:
            while True:
                with lock:
                    trace_id = next(wanted, None)
                if trace_id is None:
                    return
                seconds.append(_timed(lambda wanted=trace_id: server.read(connection, wanted)))

    threads = [threading.Thread(target=work) for _ in range(readers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seconds


def _timed(run: Callable[[], object]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def _ms(seconds: list[float]) -> str:
    return f"{statistics.median(seconds) * 1000:,.1f} / {percentile(seconds, 0.95) * 1000:,.1f} ms"


def main() -> None:
    """Measure all servers and print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--spans", type=int, default=5_000)
    parser.add_argument(
        "--venvs", type=Path, default=Path(".stack/benchmark"), help="where servers are installed"
    )
    parser.add_argument("--only", action="append", choices=[server.name for server in SERVERS])
    arguments = parser.parse_args()
    console, results = Console(), list[Result]()
    load = exports(arguments.spans, seed=1)
    for kind in SERVERS:
        if arguments.only and kind.name not in arguments.only:
            continue
        with tempfile.TemporaryDirectory(prefix="bench-compare-") as directory:
            server = kind(Path(directory), arguments.venvs.resolve())
            server.install()
            console.log(f"measuring {server.name}")
            results.append(measure(server, load))
            console.log(results[-1].rows)
    table = Table("", *(result.server for result in results), title=f"{arguments.spans:,} spans each")
    for name in results[0].rows:
        table.add_row(name, *(result.rows[name] for result in results))
    console.print(table)


if __name__ == "__main__":
    main()
