"""Normal load of one project while another one sends what is costly, idle and odd: does the first notice?

    python -m benchmarks.soak                 ten minutes
    python -m benchmarks.soak --seconds 60    a short one

Starts an engine, measures the first project alone, then with the second one beside it, and compares the p95
of its exports, for the whole and for each half minute, with what the second one had asked for in the slow
moments; then reads back everything that was acknowledged. Exits with 1 when the p95 more than doubled,
anything is missing, or the engine's memory did not stay within its bound.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import multiprocessing
import os
import random
import secrets
import signal
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
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
_WINDOW_S = 30.0


@dataclass(frozen=True, slots=True)
class Sent:
    """One export: when it was sent, how long it took (seconds), and what the other project had asked for."""

    at: float
    took: float
    beside: tuple[str, ...]


@dataclass
class Measured:
    """What the first project met: its exports, ids that were acknowledged, refusals by status."""

    sent: list[Sent] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)

    @property
    def p95_ms(self) -> float:
        """95 of 100 exports were faster than this (milliseconds)."""
        return _ms(self.sent, 0.95)

    def show_windows(self, slow_ms: float) -> None:
        """Print the percentiles of each half minute, and the requests beside which exports took longer."""
        begin = self.sent[0].at
        windows: dict[int, list[Sent]] = {}
        for one in self.sent:
            windows.setdefault(int((one.at - begin) / _WINDOW_S), []).append(one)
        print(f"from        p50      p95  exports  beside what they took longer than {slow_ms:.0f} ms")
        for number, window in windows.items():
            slow = Counter(name for one in window if one.took * 1000 > slow_ms for name in set(one.beside))
            names = ", ".join(f"{name} {count}" for name, count in slow.most_common(4))
            print(
                f"{number * _WINDOW_S:4.0f} s  {_ms(window, 0.5):6.1f}   {_ms(window, 0.95):6.1f}"
                f"   {len(window):6}  {names}"
            )


def _ms(sent: list[Sent], part: float) -> float:
    took = sorted(one.took for one in sent)
    return took[int(len(took) * part)] * 1000 if took else 0.0


def main(argv: list[str] | None = None) -> int:
    """Run the soak; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=600.0, help="of the whole (default: 600)")
    parser.add_argument("--seed", type=int, default=0, help="of what the second project sends")
    arguments = parser.parse_args(argv)
    # Else the engine and what loads it go on.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory() as directory, EmbeddedLangfuse(Path(directory) / "data") as engine:
        return _soak(engine, arguments.seconds, arguments.seed)


def _soak(engine: EmbeddedLangfuse, seconds: float, seed: int) -> int:
    first = engine.provision("soak-first")
    quiet = _load(engine, first, seconds * _QUIET_SHARE, [])
    print(f"alone:      p95 {quiet.p95_ms:.1f} ms of {len(quiet.sent)} exports", flush=True)
    memory, stop = _Memory(engine.pid), threading.Event()
    watching = threading.Thread(target=memory.watch, args=(stop,), daemon=True)
    watching.start()
    costly = [_Sender(_attack, engine, seed + number) for number in range(2)]
    senders = [*costly, _Sender(_idle, engine, seed)]
    for sender in senders:
        sender.start()
    beside = _load(engine, first, seconds * (1 - _QUIET_SHARE), costly)
    for sender in senders:
        sender.join()
    stop.set()
    watching.join()
    beside.show_windows(quiet.p95_ms * _MOST_TIMES_SLOWER)
    print(f"beside:     p95 {beside.p95_ms:.1f} ms of {len(beside.sent)} exports, refused {beside.refused}")
    print(f"costly:     {sum(sender.count for sender in costly)} requests of the second project")
    missing = _missing(engine, first, [*quiet.acknowledged, *beside.acknowledged])
    print(f"missing:    {missing} of {len(quiet.acknowledged) + len(beside.acknowledged)} acknowledged")
    print(f"memory:     {memory.highest / 2**20:.0f} MiB at the most")
    slower = beside.p95_ms / quiet.p95_ms if quiet.p95_ms else 0.0
    print(f"slower:     {slower:.2f} times")
    good = slower <= _MOST_TIMES_SLOWER and not missing and memory.highest <= _MOST_BYTES
    return 0 if good else 1


class _Sender:
    """A process that sends what the second project asks for.

    It stands for another machine: making such requests is not the engine's work and must not delay the
    measurement, so it is a separate process with the lowest priority.
    """

    def __init__(self, send: _Send, engine: EmbeddedLangfuse, seed: int) -> None:
        processes = multiprocessing.get_context("spawn")
        self._asked: Any = processes.Array("c", b"start".ljust(100, b"\0"))
        self._count: Any = processes.Value("q", 0)
        self.stop = processes.Event()
        what = (send, engine.base_url, engine.keys, seed)
        self._process = processes.Process(target=self._run, args=what, daemon=True)

    @property
    def asked(self) -> str:
        """The name of the latest request."""
        return str(self._asked.value.decode())

    @property
    def count(self) -> int:
        """How many requests it has sent."""
        return int(self._count.value)

    def note(self, name: str) -> None:
        """Tell others what is sent now."""
        self._asked.value = name.encode()
        self._count.value += 1

    def start(self) -> None:
        """Begin to send."""
        self._process.start()

    def join(self) -> None:
        """Stop, and wait for the answers that are still to come."""
        self.stop.set()
        self._process.join()

    def _run(self, send: _Send, base_url: str, keys: Keys, seed: int) -> None:
        os.nice(19)
        send(base_url, keys, seed, self)

    def __getstate__(self) -> dict[str, Any]:
        # What goes to the process itself.
        return {name: value for name, value in self.__dict__.items() if name != "_process"}


_Send = Callable[[str, Keys, int, _Sender], None]


def _load(engine: EmbeddedLangfuse, keys: Keys, seconds: float, costly: list[_Sender]) -> Measured:
    measured = Measured()
    deadline = time.monotonic() + seconds
    with httpx.Client(base_url=engine.base_url, auth=keys.auth, timeout=60) as http:
        while time.monotonic() < deadline:
            trace = secrets.token_hex(16)
            body = json.dumps(_export(trace)).encode()
            before, begin = [sender.asked for sender in costly], time.perf_counter()
            answer = http.post(TRACES, content=body, headers={"content-type": "application/json"})
            took = time.perf_counter() - begin
            measured.sent.append(Sent(begin, took, (*before, *(sender.asked for sender in costly))))
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


def _attack(base_url: str, keys: Keys, seed: int, sender: _Sender) -> None:
    """Send costly requests, with other random details in each round."""
    with httpx.Client(base_url=base_url, auth=keys.auth, timeout=60) as http:
        for round_ in itertools.count():
            for costly in costly_requests(seed * 1000 + round_):
                if sender.stop.is_set():
                    return
                sender.note(costly.name)
                with contextlib.suppress(httpx.TransportError):
                    answer = costly.send(http)
                    if answer.status_code >= 500 and answer.status_code != 503:
                        print(f"{costly.name}: {answer.status_code} {answer.text[:200]}", file=sys.stderr)


def _idle(base_url: str, keys: Keys, seed: int, sender: _Sender) -> None:
    """Keep connections open that announce bodies, or send half a request, or drip."""
    choose = random.Random(seed)
    parts = urlsplit(base_url)
    head = (
        f"POST {TRACES} HTTP/1.1\r\nhost: a\r\nauthorization: {keys.header}\r\n"
        f"content-type: application/json\r\ncontent-length: {64 * 2**20}\r\n\r\n"
    ).encode()
    opened: list[socket.socket] = []
    while not sender.stop.wait(0.2):
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
