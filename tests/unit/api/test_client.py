"""The client: calls side by side, patience with a busy server, pages, errors, an end that does not wait."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from scripts.api import client
from scripts.api.client import Api
from scripts.api.errors import Advice, ApiError, ErrorAnswer, NoAnswer, ObjectRefused, UnexpectedAnswer
from scripts.provision.server import Server

Answer = tuple[int, Any, dict[str, str]]


class Stub:
    """A server that answers what the test says, and counts."""

    def __init__(self) -> None:
        self.answer: Callable[[str], Answer] = lambda _path: (200, {}, {})
        self.asked: list[str] = []
        self.authorizations: list[str] = []
        self.seen = threading.Event()
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                stub.asked.append(self.path)
                stub.authorizations.append(self.headers.get("Authorization", ""))
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                stub.seen.set()
                status, body, headers = stub.answer(self.path)
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET  # noqa: N815 - a name of the standard library

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_port}"

    def project(self, **options: Any) -> Server:
        """Return the API of a project there."""
        return Server(self.url, "pk-lf-test", "sk-lf-test", **options)

    def api(self, **options: Any) -> Api:
        """Return the API of a project there that nobody waits for long."""
        return Api(self.url, ("pk-lf-test", "sk-lf-test"), timeout_s=10, **options)

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
    with stub.project(attempts=3) as server, pytest.raises(ErrorAnswer) as caught:
        server.get("models")
    assert caught.value.message == f"GET {server.base_url}/api/public/models answers 503: in maintenance"
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
    with pytest.raises(ErrorAnswer):
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
    with stub.project() as server, pytest.raises(ErrorAnswer, match="refuses the API key") as caught:
        server.get("models")
    assert "run make bootstrap" in caught.value.fix
    with Server("http://127.0.0.1:9", "pk-lf-test", "sk-lf-test", attempts=1) as away:
        with pytest.raises(NoAnswer, match="got no answer") as unreached:
            away.get("models")
        assert "make status" in unreached.value.fix


@pytest.mark.parametrize(
    ("status", "repeatable", "asked"),
    [
        (429, False, 3),
        (502, False, 3),
        (503, False, 3),
        (504, False, 3),
        # It may have been done: whether it may be done twice only the caller knows.
        (500, False, 1),
        (500, True, 3),
        (501, True, 3),
        (400, True, 1),
        (401, True, 1),
        (404, True, 1),
    ],
)
def test_one_rule_says_what_is_sent_again(stub: Stub, status: int, repeatable: bool, asked: int) -> None:
    stub.answer = lambda _path: (status, {}, {"Retry-After": "0"})
    with stub.api(attempts=3, repeatable=repeatable) as api, pytest.raises(ErrorAnswer) as caught:
        api.post("scores", {})
    assert len(stub.asked) == asked
    assert caught.value.status == status


def test_who_asks_for_one_attempt_gets_one(stub: Stub) -> None:
    stub.answer = lambda _path: (503, {}, {"Retry-After": "30"})
    with stub.api() as api, pytest.raises(ErrorAnswer, match="answers 503"):
        api.get("models")
    assert len(stub.asked) == 1


@pytest.mark.parametrize(("repeatable", "asked"), [(False, 1), (True, 3)])
def test_a_connection_that_breaks_is_made_again_only_for_what_may_arrive_twice(
    repeatable: bool, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def breaks(request: httpx.Request) -> httpx.Response:
        calls.append(request.url.path)
        raise httpx.ReadError("reset")

    monkeypatch.setattr(client, "_LONGEST_PAUSE_S", 0.0)
    transport = httpx.MockTransport(breaks)
    with (
        Api("http://127.0.0.1:9", attempts=3, repeatable=repeatable, transport=transport) as api,
        pytest.raises(NoAnswer) as caught,
    ):
        api.post("scores", {})
    assert (caught.value.kind, len(calls)) == ("ReadError", asked)


def test_each_call_has_the_keys_that_it_names(stub: Stub) -> None:
    with stub.api() as api:
        api.get("models")
        api.get("models", keys=("pk-lf-other", "sk-lf-other"))
        api.get("/api/admin/bullmq", keys="admin-key-test")
        # httpx would refuse to send a header that ends with a space.
        api.get("/api/admin/bullmq", keys="")
    with Api(stub.url) as nobody:
        nobody.get("health")
    assert stub.authorizations == [
        "Basic cGstbGYtdGVzdDpzay1sZi10ZXN0",
        "Basic cGstbGYtb3RoZXI6c2stbGYtb3RoZXI=",
        "Bearer admin-key-test",
        "Bearer none",
        "",
    ]
    assert stub.asked[:3] == ["/api/public/models", "/api/public/models", "/api/admin/bullmq"]


def test_a_list_by_number_gives_a_row_that_moved_once_and_a_list_by_cursor_every_page(stub: Stub) -> None:
    numbered = {"1": ["a", "b"], "2": ["b", "c"]}
    behind = {"": (["a"], "x"), "x": (["b"], None)}

    def page(path: str) -> Answer:
        query = dict(parse_qsl(urlsplit(path).query))
        if "models" in path:
            rows = [{"id": one} for one in numbered[query["page"]]]
            return 200, {"data": rows, "meta": {"totalPages": 2}}, {}
        ids, cursor = behind[query.get("cursor", "")]
        return 200, {"data": [{"id": one} for one in ids], "meta": {"cursor": cursor} if cursor else {}}, {}

    stub.answer = page
    with stub.api() as api:
        assert [[row["id"] for row in rows] for rows in api.by_number("models", {"limit": 2})] == [
            ["a", "b"],
            ["c"],
        ]
        pages = list(api.by_cursor("v2/observations", {"limit": 1}))
        assert pages == [([{"id": "a"}], "x"), ([{"id": "b"}], "")]
        assert [cursor for _, cursor in api.by_cursor("v2/observations", {}, "x")] == [""]


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (400, {"message": "Bad", "error": ["no name"]}, ObjectRefused, "answers 400: Bad ['no name']"),
        (403, {"message": "Forbidden"}, ErrorAnswer, "answers 403: Forbidden"),
        (413, b"<h1>Too\n large</h1>", ObjectRefused, "answers 413: <h1>Too large</h1>"),
        (302, b"", ErrorAnswer, "answers 302"),
        (200, b"<h1>Hello</h1>", UnexpectedAnswer, "does not answer with JSON."),
    ],
)  # fmt: skip
def test_an_error_says_which_call_and_what_the_server_said(
    stub: Stub, status: int, body: object, kind: type[ApiError], said: str
) -> None:
    stub.answer = lambda _path: (status, body, {})
    advice = Advice(refused="do this.", away="do that.")
    with stub.api(advice=advice) as api, pytest.raises(ApiError) as caught:
        api.get("models")
    assert type(caught.value) is kind
    assert caught.value.message == f"GET {stub.url}/api/public/models {said}"
    assert caught.value.fix == ("do that." if kind is UnexpectedAnswer else "do this.")


def test_a_name_that_no_url_can_hold_concerns_one_object_only(stub: Stub) -> None:
    with stub.api() as api, pytest.raises(ObjectRefused, match=r"cannot be asked for") as caught:
        api.get("v2/prompts/" + "n" * 70_000)
    assert len(caught.value.message) < 300
    assert stub.asked == []


def test_half_a_surrogate_pair_in_an_answer_is_replaced(stub: Stub) -> None:
    stub.answer = lambda _path: (200, rb'{"text": "a\ud800"}', {})
    with stub.api() as api:
        assert api.get("models") == {"text": "a?"}


def test_help_does_without_httpx() -> None:
    program = (
        "import runpy, sys, contextlib\n"
        "sys.argv = ['scripts', '--help']\n"
        "with contextlib.suppress(SystemExit):\n"
        "    runpy.run_module('scripts', run_name='__main__')\n"
        "print({'httpx', 'tenacity', 'orjson'} & sys.modules.keys(), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "Usage: " in done.stdout
    assert done.stderr.strip() == "set()"


@pytest.mark.parametrize("command", ["scripts.run.up", "scripts.run.smoke", "scripts.config.bootstrap"])
def test_a_check_that_fails_before_a_server_is_asked_does_without_httpx(command: str) -> None:
    program = f"import sys, {command}; print({{'httpx', 'tenacity'}} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_cache_of_keys_that_is_not_emptied_says_why_and_what_helps(stub: Stub) -> None:
    stub.answer = lambda _path: (401, {}, {})
    with stub.api() as api, pytest.raises(ApiError) as caught:
        api.forget_rejected_keys("admin-key-test")
    assert caught.value.message == (
        f"The key cache of {stub.url} could not be emptied ({stub.url} refuses the API key)."
    )
    assert "wait five minutes" in caught.value.fix
    assert stub.authorizations == ["Bearer admin-key-test"]


@pytest.mark.parametrize(
    ("answer", "version", "ready"),
    [
        ((200, {"status": "OK", "version": "4.59.0"}, {}), "4.59.0", ""),
        ((503, {"status": "starting"}, {}), "", "/api/public/ready answers 503: starting"),
        ((500, {}, {}), "", "/api/public/ready answers 500"),
        ((200, b"<h1>Hello</h1>", {}), "", ""),
        ((200, ["4.59.0"], {}), "", ""),
    ],
)
def test_health_is_what_the_server_says(stub: Stub, answer: Answer, version: str, ready: str) -> None:
    stub.answer = lambda _path: answer
    with stub.api() as api:
        assert (api.version(), api.ready()) == (version, ready)


def test_a_server_that_is_away_is_not_ready() -> None:
    with Api("http://127.0.0.1:9") as api:
        assert (api.version(), api.ready()) == ("", "no answer (ConnectError)")


@pytest.mark.parametrize("body", [{"data": []}, {"rows": 1}, ["a"], {"data": [{"name": "kosmos"}]}])
def test_a_key_is_of_no_project_only_when_the_server_refuses_it(stub: Stub, body: object) -> None:
    with stub.api() as api:
        stub.answer = lambda _path: (401, {}, {})
        assert api.project_of() is None
        stub.answer = lambda _path: (200, {"data": [{"id": "kosmos"}]}, {})
        assert api.project_of() == "kosmos"
        stub.answer = lambda _path: (200, body, {})
        with pytest.raises(UnexpectedAnswer, match="does not answer as Langfuse does"):
            api.project_of()
        stub.answer = lambda _path: (503, {}, {})
        with pytest.raises(ErrorAnswer, match="answers 503"):
            api.project_of()
