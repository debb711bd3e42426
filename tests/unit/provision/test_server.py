"""One project of a server: calls side by side, patience with a busy server, an end that does not wait."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from scripts.api.client import Server
from scripts.core.errors import ProvisioningError

Answer = tuple[int, Any, dict[str, str]]


class Stub:
    """A server that answers what the test says, and counts."""

    def __init__(self) -> None:
        self.answer: Callable[[str], Answer] = lambda _path: (200, {}, {})
        self.asked: list[str] = []
        self.seen = threading.Event()
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                stub.asked.append(self.path)
                stub.seen.set()
                status, body, headers = stub.answer(self.path)
                content = json.dumps(body).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def project(self, **options: Any) -> Server:
        """Return the API of a project there."""
        return Server(f"http://127.0.0.1:{self.http.server_port}", "pk-lf-test", "sk-lf-test", **options)

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def stub() -> Iterator[Stub]:
    stub = Stub()
    yield stub
    stub.close()


def test_results_come_in_the_order_of_the_things(stub: Stub) -> None:
    with stub.project() as server:
        assert server.each(lambda number: number * 2, range(50)) == list(range(0, 100, 2))


def test_after_an_error_nothing_further_begins_and_the_error_comes_out(stub: Stub) -> None:
    begun: list[int] = []

    def work(number: int) -> None:
        begun.append(number)
        if number == 3:
            raise ValueError("three")

    with stub.project(concurrency=1) as server, pytest.raises(ValueError, match="three"):
        server.each(work, range(100))
    assert begun == [0, 1, 2, 3]


def test_a_busy_server_is_asked_again_as_it_wishes(stub: Stub) -> None:
    stub.answer = lambda _path: (
        (429, {"message": "slow down"}, {"Retry-After": "0"}) if len(stub.asked) < 4 else (200, {"a": 1}, {})
    )
    with stub.project() as server:
        assert server.get("models") == {"a": 1}
    assert len(stub.asked) == 4


def test_a_server_that_stays_busy_is_an_error_that_says_what_it_answered(stub: Stub) -> None:
    stub.answer = lambda _path: (503, {"message": "in maintenance"}, {"Retry-After": "0"})
    with stub.project(attempts=3) as server, pytest.raises(ProvisioningError) as caught:
        server.get("models")
    assert caught.value.message == "GET /api/public/models answered 503: in maintenance"
    assert "it goes on" in caught.value.fix
    assert len(stub.asked) == 3


def test_an_interruption_does_not_wait_for_a_server_that_is_busy(stub: Stub) -> None:
    stub.answer = lambda _path: (503, {}, {"Retry-After": "30"})
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), stub.project() as server:  # noqa: PT012 - the body is interrupted
        waiting = threading.Thread(target=_ignore_errors, args=(lambda: server.each(server.get, ["models"]),))
        waiting.start()
        assert stub.seen.wait(10)
        raise KeyboardInterrupt
    waiting.join(10)
    assert not waiting.is_alive()
    assert time.monotonic() - began < 15


def _ignore_errors(work: Callable[[], object]) -> None:
    with pytest.raises(ProvisioningError):
        work()


def test_all_pages_are_read_and_a_row_that_moved_counts_once(stub: Stub) -> None:
    rows = {1: ["a", "b"], 2: ["b", "c"], 3: ["d"]}

    def page(path: str) -> Answer:
        number = int(path.partition("page=")[2].partition("&")[0])
        return 200, {"data": [{"id": one} for one in rows[number]], "meta": {"totalPages": 3}}, {}

    stub.answer = page
    with stub.project() as server:
        assert [row["id"] for row in server.pages("models")] == ["a", "b", "c", "d"]


def test_a_refused_key_and_a_server_that_is_away_say_what_to_do(stub: Stub) -> None:
    stub.answer = lambda _path: (401, {}, {})
    with stub.project() as server, pytest.raises(ProvisioningError, match="refuses the API key") as caught:
        server.get("models")
    assert "run make bootstrap" in caught.value.fix
    with Server("http://127.0.0.1:9", "pk-lf-test", "sk-lf-test", attempts=1) as away:
        with pytest.raises(ProvisioningError, match="got no answer") as caught:
            away.get("models")
        assert "make status" in caught.value.fix
