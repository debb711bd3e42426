"""Nothing acknowledged is lost: processes killed, files damaged, disks full, directories read-only."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import sqlite3
import subprocess
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from benchmarks.load import SPANS_PER_TRACE, Connection, Export, Sent, exports, send_all
from tests.waiting import wait_for

from .conftest import StartEngine
from .harness import REPOSITORY, RunningEngine, engine_command
from .spans import TRACES, export, read, send, span, trace_id

_DEADLINE = 30.0


@pytest.mark.parametrize("seed", range(3))
def test_acknowledged_spans_survive_a_killed_server_at_200_spans_a_second(
    start_engine: StartEngine, seed: int
) -> None:
    engine = start_engine()
    load = exports(2_000, seed, traces_per_export=2)
    sent = _send_until(engine, load, Random(seed).uniform(0.3, 1.2), engine.kill, per_second=20)
    assert 1 < len(sent.acknowledged) < len(load)
    _assert_complete(start_engine(data_dir=engine.data_dir), sent.acknowledged)


@pytest.mark.parametrize("seed", range(3))
def test_acknowledged_spans_survive_a_killed_server_at_full_speed(
    start_engine: StartEngine, seed: int
) -> None:
    engine = start_engine()
    load = exports(20_000, seed)
    sent = _send_until(engine, load, Random(seed).uniform(0.1, 0.8), engine.kill)
    assert len(sent.acknowledged) < len(load)
    _assert_complete(start_engine(data_dir=engine.data_dir), sent.acknowledged)


@pytest.mark.parametrize("seed", range(3))
def test_a_deletion_cut_off_by_a_kill_is_done_or_not_done_and_metrics_agree(
    start_engine: StartEngine, seed: int
) -> None:
    engine = start_engine()
    traces = [trace_id() for _ in range(1_500)]
    send(engine.client, *(span(trace) for trace in traces))
    assert _counted(engine) == len(traces)
    writer = _writer(engine)

    def strike() -> None:
        writer.kill()
        engine.kill()

    timer = threading.Timer(Random(seed).uniform(0.005, 0.15), strike)
    timer.start()
    acknowledged = False
    with contextlib.suppress(httpx.TransportError), httpx.Client(auth=engine.keys.auth) as client:
        url = f"{engine.base_url}/api/public/traces"
        acknowledged = client.request("DELETE", url, json={"traceIds": traces}).status_code == 200
    timer.join()
    again = start_engine(data_dir=engine.data_dir)
    left = len(read(again.client, limit="1000"))
    assert left in ({0} if acknowledged else {0, len(traces)})
    assert _counted(again) == left


@pytest.mark.parametrize("victim", ["writer", "mapper"])
def test_a_killed_child_is_started_again_and_loses_nothing_acknowledged(
    start_engine: StartEngine, victim: str
) -> None:
    engine = start_engine()
    writer = _writer(engine)
    process = writer if victim == "writer" else writer.children()[0]
    sent = _send_until(engine, exports(20_000, seed=11), 0.3, process.kill)
    assert set(sent.refused) <= {503}
    trace = trace_id()
    wait_for(lambda: engine.client.post(TRACES, json=export(span(trace))).is_success, engine.log)
    _assert_complete(engine, sent.acknowledged)
    assert "the writer process was started again" in engine.log()


def test_an_engine_whose_writer_dies_again_and_again_stops_and_says_so(start_engine: StartEngine) -> None:
    engine = start_engine()
    process = engine.process
    assert process is not None
    killed: set[int] = set()

    def has_stopped() -> bool:
        for writer in _writers(engine):
            if writer.pid not in killed:
                killed.add(writer.pid)
                writer.kill()
        return process.poll() is not None

    wait_for(has_stopped, engine.log)
    assert process.returncode == 1
    assert len(killed) == 6
    assert "the engine stops" in engine.log()


def test_the_writer_of_a_killed_server_ends_by_itself(start_engine: StartEngine) -> None:
    engine = start_engine()
    writer = _writer(engine)
    mapper = writer.children()[0]
    engine.kill()
    gone, alive = psutil.wait_procs([writer, mapper], _DEADLINE)
    assert (len(gone), alive) == (2, [])


def test_a_full_disk_answers_503_stores_nothing_and_goes_on_when_there_is_room(
    start_engine: StartEngine,
) -> None:
    engine = start_engine()
    before, refused, after = trace_id(), trace_id(), trace_id()
    send(engine.client, span(before))
    writer = _writer(engine).pid
    size = sum(path.stat().st_size for path in engine.data_dir.glob("events.db*"))
    # A limit on the size of files stands in for the disk; the kernel refuses the write in the same way.
    unlimited = resource.prlimit(writer, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    large = {"langfuse.observation.input": os.urandom(size).hex()}
    answer = engine.client.post(TRACES, json=export(span(refused, attributes=large)))
    assert answer.status_code == 503, answer.text
    assert "could not be stored" in answer.json()["message"]
    assert answer.headers["retry-after"] == "1"
    assert read(engine.client, traceId=refused) == []
    resource.prlimit(writer, resource.RLIMIT_FSIZE, unlimited)
    send(engine.client, span(after))
    assert [len(read(engine.client, traceId=trace)) for trace in (before, refused, after)] == [1, 0, 1]


def test_a_damaged_event_file_is_refused_and_left_as_it_is(tmp_path: Path, start_engine: StartEngine) -> None:
    engine = start_engine()
    engine.stop()
    path = engine.data_dir / "events.db"
    torn = b"not a database at all" * 1000
    path.write_bytes(torn)
    result = _serve(engine.data_dir)
    assert result.returncode == 1
    assert "events.db" in result.stderr
    assert "damaged" in result.stderr
    assert path.read_bytes() == torn


def test_data_of_a_newer_version_is_refused_and_left_as_it_is(start_engine: StartEngine) -> None:
    engine = start_engine()
    engine.stop()
    path = engine.data_dir / "events.db"
    with sqlite3.connect(path) as database:
        database.execute("pragma user_version=999")
    database.close()
    result = _serve(engine.data_dir)
    assert result.returncode == 1
    assert "schema 999" in result.stderr
    assert "newer version" in result.stderr
    assert "Traceback" not in result.stderr


def test_what_was_in_the_log_of_a_killed_engine_is_read_from_a_copy_of_its_files(
    start_engine: StartEngine, tmp_path: Path
) -> None:
    engine = start_engine()
    trace = trace_id()
    send(engine.client, span(trace))
    # The writer outlives its server by a moment and tidies up: here it must not.
    writers = psutil.Process(engine.pid).children(recursive=True)
    for process in writers:
        process.kill()
    engine.kill()
    psutil.wait_procs(writers, timeout=10)
    assert (engine.data_dir / "events.db-wal").stat().st_size > 0
    copy = tmp_path / "copy"
    shutil.copytree(engine.data_dir, copy)
    assert len(read(start_engine(data_dir=copy).client, traceId=trace)) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write into any directory")
def test_a_directory_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    data_dir.mkdir(mode=0o500)
    result = _serve(data_dir)
    assert result.returncode == 1
    assert "may be written" in result.stderr


def _send_until(
    engine: RunningEngine,
    load: list[Export],
    seconds: float,
    strike: Callable[[], object],
    per_second: float | None = None,
) -> Sent:
    """Send a load, strike after some seconds, and return what had been acknowledged."""
    address = urlsplit(engine.base_url)
    assert address.hostname is not None
    assert address.port is not None
    host, port = address.hostname, address.port

    def connect() -> Connection:
        return Connection(host, port, {"authorization": engine.keys.header})

    # The first export of a new directory waits for the price list: the clock starts behind it.
    first = send_all(connect, load[:1], 1)
    timer = threading.Timer(seconds, strike)
    timer.start()
    sent = send_all(connect, load[1:], 4, per_second)
    timer.join()
    sent.acknowledged += first.acknowledged
    return sent


def _assert_complete(engine: RunningEngine, acknowledged: list[Export]) -> None:
    found = Counter(item["traceId"] for item in read(engine.client, fields="core,io", limit="1000"))
    wanted = {trace for one in acknowledged for trace in one.trace_ids}
    assert {trace: found[trace] for trace in wanted if found[trace] != SPANS_PER_TRACE} == {}


def _counted(engine: RunningEngine) -> int:
    """Return how many observations metrics count."""
    query = {
        "view": "observations",
        "metrics": [{"measure": "count", "aggregation": "count"}],
        "fromTimestamp": "2020-01-01T00:00:00Z",
        "toTimestamp": "2100-01-01T00:00:00Z",
    }
    [row] = engine.client.get("/api/public/v2/metrics", params={"query": json.dumps(query)}).json()["data"]
    return int(row["count_count"])


def _writers(engine: RunningEngine) -> list[psutil.Process]:
    found = []
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(engine.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):
                if "langfuse_embedded.store.writer" in child.cmdline():
                    found.append(child)
    return found


def _writer(engine: RunningEngine) -> psutil.Process:
    (writer,) = _writers(engine)
    return writer


def _serve(data_dir: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        engine_command("serve", data_dir, "--port", "0"),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=_DEADLINE,
    )
