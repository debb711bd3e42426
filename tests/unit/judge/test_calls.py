"""Calls of models: asked again where that helps, never led to another address."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import pytest

from langfuse_embedded.judge import calls
from langfuse_embedded.judge.calls import Answer, Caller, Target
from langfuse_embedded.judge.failures import CallFailed
from langfuse_embedded.judge.worker import retry_delay
from langfuse_embedded.outbound_urls import AllowedHosts
from langfuse_embedded.store.evaluators import Output

NUMERIC: Output = {"dataType": "NUMERIC", "reasoning": None, "score": None}
QUESTION = [{"role": "user", "content": "Is it right?"}]
FITTING = json.dumps({"reasoning": "yes", "score": 1})


class Provider(BaseHTTPRequestHandler):
    """Answers with the statuses of a list, and notes what it was asked."""

    statuses: ClassVar[list[int]] = []
    asked: ClassVar[list[dict[str, str]]] = []

    def do_POST(self) -> None:
        """Answer a question."""
        self.rfile.read(int(self.headers["content-length"]))
        self.asked.append({name.lower(): value for name, value in self.headers.items()})
        status = self.statuses.pop(0) if self.statuses else 200
        body = json.dumps(
            {"choices": [{"message": {"content": FITTING}}], "error": {"message": "No"}}
        ).encode()
        self.send_response(status)
        self.send_header("location", "http://127.0.0.1:1/elsewhere")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
        """Say nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    """The port of a running provider."""
    Provider.statuses, Provider.asked = [], []
    server = HTTPServer(("127.0.0.1", 0), Provider)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def ask(url: str, allowed: AllowedHosts, *, attempts: int = 3) -> tuple[Answer | CallFailed, list[float]]:
    """Ask once; return the answer or what went wrong, and the waits between."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async def run() -> Answer | CallFailed:
        caller = Caller(allowed, timeout_seconds=10, sleep=sleep)
        target = Target("openai", url, "sk-test", {"x-team": "kosmos"}, "m")
        try:
            return await caller.ask(target, QUESTION, NUMERIC, attempts=attempts, traceparent="00-a-b-01")
        except CallFailed as error:
            return error
        finally:
            await caller.close()

    return asyncio.run(run()), waits


HERE = AllowedHosts(addresses=("127.0.0.1",))


def test_a_failure_that_may_pass_is_asked_again_after_two_and_four_seconds(port: int) -> None:
    Provider.statuses = [500, 429]
    answer, waits = ask(f"http://127.0.0.1:{port}/v1", HERE)
    assert isinstance(answer, Answer)
    assert (answer.parsed["score"], waits) == (1, [2.0, 4.0])
    headers = Provider.asked[0]
    assert (headers["authorization"], headers["x-team"]) == ("Bearer sk-test", "kosmos")
    assert (headers["traceparent"], headers["host"]) == ("00-a-b-01", f"127.0.0.1:{port}")


def test_what_does_not_pass_is_asked_once(port: int) -> None:
    Provider.statuses = [400]
    failed, waits = ask(f"http://127.0.0.1:{port}/v1", HERE)
    assert isinstance(failed, CallFailed)
    assert (failed.status, failed.retryable, waits, len(Provider.asked)) == (400, False, [], 1)


def test_no_redirect_is_followed(port: int) -> None:
    Provider.statuses = [307]
    failed, _ = ask(f"http://127.0.0.1:{port}/v1", HERE)
    assert isinstance(failed, CallFailed)
    assert (failed.status, len(Provider.asked)) == (307, 1)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "2130706433"])
def test_an_address_inside_that_is_not_allowed_is_not_called(port: int, host: str) -> None:
    failed, _ = ask(f"http://{host}:{port}/v1", AllowedHosts())
    assert isinstance(failed, CallFailed)
    assert failed.blocks == "EVAL_MODEL_CONFIG_INVALID"
    assert Provider.asked == []


def test_a_name_is_judged_by_the_address_that_is_called(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up = []

    async def found(self: Any, host: str, port: int, **_options: Any) -> list[Any]:
        looked_up.append(host)
        return [(None, None, None, "", ("127.0.0.1", port))]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", found)
    failed, _ = ask(f"http://llm.acme.example:{port}/v1", AllowedHosts())
    assert isinstance(failed, CallFailed)
    assert (failed.blocks, Provider.asked) == ("EVAL_MODEL_CONFIG_INVALID", [])
    answer, _ = ask(f"http://llm.acme.example:{port}/v1", HERE)
    # Looked up once: what was checked is what is called.
    assert isinstance(answer, Answer)
    assert looked_up.count("llm.acme.example") == 2
    assert Provider.asked[0]["host"] == f"llm.acme.example:{port}"


def test_retries_come_when_the_server_plans_them() -> None:
    minutes = [5, 43, 82, 120]
    for attempt, minute in enumerate(minutes, 1):
        delay = retry_delay(attempt, 0.0, 4, 7200.0)
        assert delay is not None
        assert 0.79 * minute * 60 < delay <= min(1.21 * minute * 60, 7200)
    assert retry_delay(5, 0.0, 4, 7200.0) is None
    assert retry_delay(1, 7200.0, 4, 7200.0) is None


@pytest.mark.parametrize("adapter", ["openai", "anthropic"])
def test_the_parameters_of_the_default_model_go_along(adapter: str) -> None:
    target = Target(adapter, "http://127.0.0.1", "sk-test", {}, "m", {"temperature": 0.5, "max_tokens": 100})
    body = calls._request(target, QUESTION, NUMERIC)[2]
    assert (body["temperature"], body["max_tokens"]) == (0.5, 100)
    plain = calls._request(Target(adapter, "http://127.0.0.1", "sk-test", {}, "m"), QUESTION, NUMERIC)[2]
    assert "temperature" not in plain
