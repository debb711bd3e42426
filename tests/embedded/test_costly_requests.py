"""Work whose cost a client chooses: answered with a limit, and not noticed by other projects."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from benchmarks.costly import Costly, costly_requests

from .harness import RunningEngine
from .spans import TRACES, export, span, trace_id

COSTLY = list(costly_requests(seed=1))


class Neighbour:
    """Another project that exports and asks for health all the time, and notes how long each answer took."""

    def __init__(self, engine: RunningEngine) -> None:
        self._client = engine.client_for(engine.provision("athena"))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.took: list[float] = []
        self.problems: list[str] = []

    def __enter__(self) -> Neighbour:
        self._client.post(TRACES, json=export(span(trace_id())))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._client.close()

    def observe(self) -> list[float]:
        """Return the durations since the last call."""
        took, self.took = self.took, []
        return took

    def _run(self) -> None:
        while not self._stop.wait(0.02):
            for method, path, body in (
                ("POST", TRACES, export(span(trace_id()))),
                ("GET", "/api/public/health", None),
            ):
                begin = time.perf_counter()
                try:
                    answer = self._client.request(method, path, json=body)
                except httpx.TransportError as error:
                    self.problems.append(f"{path}: {error!r}")
                    continue
                self.took.append(time.perf_counter() - begin)
                if answer.status_code != 200:
                    self.problems.append(f"{path}: {answer.status_code} {answer.text[:200]}")


@pytest.fixture(scope="module")
def neighbour(engine: RunningEngine) -> Iterator[Neighbour]:
    with Neighbour(engine) as made:
        yield made


@pytest.mark.parametrize("costly", COSTLY, ids=[one.name for one in COSTLY])
def test_costly_requests_end_and_are_not_noticed_by_others(
    engine: RunningEngine, neighbour: Neighbour, costly: Costly
) -> None:
    neighbour.observe()
    deadline = time.monotonic() + 30
    while len(neighbour.took) < 40:
        assert time.monotonic() < deadline, neighbour.problems
        time.sleep(0.05)
    quiet = max(neighbour.observe())

    def send() -> httpx.Response:
        with httpx.Client(base_url=engine.base_url, auth=engine.keys.auth, timeout=120) as http:
            return costly.send(http)

    with ThreadPoolExecutor(2) as senders:
        answers = [future.result() for future in [senders.submit(send), senders.submit(send)]]
    meanwhile = neighbour.observe()
    assert neighbour.problems == []
    for answer in answers:
        # Done, refused with a reason, or (twice at once) asked to come again: never a failure.
        assert answer.status_code < 500 or answer.status_code == 503, answer.text[:300]
        assert "Internal Server Error" not in answer.text
    # The floor is what is promised: a second. On a busy machine all is slower, also when nothing is asked.
    assert max(meanwhile, default=0) < max(1.0, 10 * quiet), (quiet, max(meanwhile))
