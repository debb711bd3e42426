"""Normal load of one project while another one sends what is costly, idle and odd: does the first notice?

    python -m benchmarks.soak                 ten minutes
    python -m benchmarks.soak --seconds 60    a short one

Starts an engine, measures the first project alone, then with the second one beside it, and compares the p95
of its exports; then reads back everything that was acknowledged. Exits with 1 when the p95 more than doubled,
anything is missing, or the engine's memory did not stay within its bound.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import random
import secrets
import socket
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil

from langfuse_testing.embedded import EmbeddedLangfuse
from langfuse_testing.server import Keys

from .costly import TRACES, costly_requests

_QUIET_SHARE = 0.2
_MOST_TIMES_SLOWER = 2.0
_MOST_BYTES = 3 * 2**30
_PAUSE_S = 0.05


@dataclass
class Measured:
    """What the first project met: seconds of each export, ids that were acknowledged, refusals by status."""

    took: list[float] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)

    @property
    def p95_ms(self) -> float:
        """95 of 100 exports were faster than this (milliseconds)."""
        return sorted(self.took)[int(len(self.took) * 0.95)] * 1000 if self.took else 0.0


def main(argv: list[str] | None = None) -> int:
    """Run the soak; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=600.0, help="of the whole (default: 600)")
    parser.add_argument("--seed", type=int, default=0, help="of what the second project sends")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as directory, EmbeddedLangfuse(Path(directory) / "data") as engine:
        return _soak(engine, arguments.seconds, arguments.seed)


def _soak(engine: EmbeddedLangfuse, seconds: float, seed: int) -> int:
    first = engine.provision("soak-first")
    quiet = _load(engine, first, seconds * _QUIET_SHARE)
    print(f"alone:      p95 {quiet.p95_ms:.1f} ms of {len(quiet.took)} exports", flush=True)
    stop = threading.Event()
    memory = _Memory(engine.pid)
    others = [
        threading.Thread(target=_attack, args=(engine, engine.keys, seed, stop)),
        threading.Thread(target=_attack, args=(engine, engine.keys, seed + 1, stop)),
        threading.Thread(target=_idle, args=(engine, seed, stop)),
        threading.Thread(target=memory.watch, args=(stop,)),
    ]
    for thread in others:
        thread.start()
    beside = _load(engine, first, seconds * (1 - _QUIET_SHARE))
    stop.set()
    for thread in others:
        thread.join()
    print(f"beside:     p95 {beside.p95_ms:.1f} ms of {len(beside.took)} exports, refused {beside.refused}")
    missing = _missing(engine, first, [*quiet.acknowledged, *beside.acknowledged])
    print(f"missing:    {missing} of {len(quiet.acknowledged) + len(beside.acknowledged)} acknowledged")
    print(f"memory:     {memory.highest / 2**20:.0f} MiB at the most")
    slower = beside.p95_ms / quiet.p95_ms if quiet.p95_ms else 0.0
    print(f"slower:     {slower:.2f} times")
    good = slower <= _MOST_TIMES_SLOWER and not missing and memory.highest <= _MOST_BYTES
    return 0 if good else 1


def _load(engine: EmbeddedLangfuse, keys: Keys, seconds: float) -> Measured:
    measured = Measured()
    deadline = time.monotonic() + seconds
    with httpx.Client(base_url=engine.base_url, auth=keys.auth, timeout=60) as http:
        while time.monotonic() < deadline:
            trace = secrets.token_hex(16)
            begin = time.perf_counter()
            answer = http.post(TRACES, json=_export(trace))
            measured.took.append(time.perf_counter() - begin)
            if answer.status_code == 200:
                measured.acknowledged.append(trace)
            else:
                measured.refused.append(answer.status_code)
            time.sleep(_PAUSE_S)
    return measured


def _export(trace: str) -> dict[str, Any]:
    spans = [
        {
            "traceId": trace,
            "spanId": secrets.token_hex(8),
            "name": "step",
            "attributes": [{"key": "langfuse.observation.input", "value": {"stringValue": "x" * 2000}}],
        }
        for _ in range(20)
    ]
    return {"resourceSpans": [{"scopeSpans": [{"scope": {"name": "langfuse-sdk"}, "spans": spans}]}]}


def _attack(engine: EmbeddedLangfuse, keys: Keys, seed: int, stop: threading.Event) -> None:
    """Send costly requests, with other random details in each round."""
    with httpx.Client(base_url=engine.base_url, auth=keys.auth, timeout=60) as http:
        for round_ in itertools.count():
            for costly in costly_requests(seed * 1000 + round_):
                if stop.is_set():
                    return
                with contextlib.suppress(httpx.TransportError):
                    answer = costly.send(http)
                    if answer.status_code >= 500 and answer.status_code != 503:
                        print(f"{costly.name}: {answer.status_code} {answer.text[:200]}", file=sys.stderr)


def _idle(engine: EmbeddedLangfuse, seed: int, stop: threading.Event) -> None:
    """Keep connections open that announce bodies, or send half a request, or drip."""
    choose = random.Random(seed)
    parts = urlsplit(engine.base_url)
    head = (
        f"POST {TRACES} HTTP/1.1\r\nhost: a\r\nauthorization: {engine.keys.header}\r\n"
        f"content-type: application/json\r\ncontent-length: {64 * 2**20}\r\n\r\n"
    ).encode()
    opened: list[socket.socket] = []
    while not stop.wait(0.2):
        with contextlib.suppress(OSError):
            connection = socket.create_connection((parts.hostname or "", parts.port or 0), timeout=5)
            connection.sendall(
                choose.choice((head, head[:40], head + b"{" * choose.randint(1, 200_000), b""))
            )
            opened.append(connection)
        for connection in opened[-20:]:
            with contextlib.suppress(OSError):
                connection.send(b" ")
        for connection in opened[:-300]:
            connection.close()
        del opened[:-300]
    for connection in opened:
        connection.close()


@dataclass
class _Memory:
    """The memory of all processes of an engine."""

    pid: int
    highest: int = 0

    def watch(self, stop: threading.Event) -> None:
        """Look twice a second."""
        while not stop.wait(0.5):
            with contextlib.suppress(psutil.Error):
                server = psutil.Process(self.pid)
                family = [server, *server.children(recursive=True)]
                self.highest = max(self.highest, sum(one.memory_info().rss for one in family))


def _missing(engine: EmbeddedLangfuse, keys: Keys, acknowledged: list[str]) -> int:
    """Return how many acknowledged traces cannot be read back whole."""
    missing = 0
    with httpx.Client(base_url=engine.base_url, auth=keys.auth, timeout=60) as http:
        for trace in acknowledged:
            query = {"traceId": trace, "limit": "100"}
            found = http.get("/api/public/v2/observations", params=query).json()["data"]
            missing += len(found) != 20
    return missing


if __name__ == "__main__":
    sys.exit(main())
