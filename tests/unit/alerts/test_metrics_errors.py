"""A query that fails says which project it was about, how it failed, and what the server said."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx
import pytest

from scripts.api.client import AsyncApi
from scripts.api.keys import ProjectKey
from scripts.watch.alerts.reader import MetricsError, ask_metrics

KEY = ProjectKey("kosmos", "pk-lf-test-none", "sk-lf-test-none")


def raising(error: Exception) -> Callable[[httpx.Request], httpx.Response]:
    def answer(_: httpx.Request) -> httpx.Response:
        raise error

    return answer


@pytest.mark.parametrize(
    ("answer", "reason", "said"),
    [
        (lambda _: httpx.Response(400, json={"message": "Bad query"}), "refused", "answers 400: Bad query"),
        (lambda _: httpx.Response(401, json={}), "refused", "refuses the API key"),
        (lambda _: httpx.Response(503, text="in\nmaintenance"), "failed", "answers 503: in maintenance"),
        (lambda _: httpx.Response(200, text="<h1>Hello</h1>"), "malformed", "does not answer with JSON"),
        (lambda _: httpx.Response(200, json={"rows": []}), "malformed", "KeyError: 'data'"),
        (raising(httpx.ReadTimeout("slow")), "timeout", "got no answer (ReadTimeout: slow)"),
        (raising(httpx.ConnectError("no route")), "unreachable", "got no answer (ConnectError: no route)"),
    ],
)  # fmt: skip
def test_a_query_that_fails(
    answer: Callable[[httpx.Request], httpx.Response], reason: str, said: str
) -> None:
    async def ask() -> None:
        transport = httpx.MockTransport(answer)
        async with AsyncApi("http://langfuse.example", timeout_s=5, transport=transport) as client:
            await ask_metrics(client, KEY, {"view": "observations"})

    with pytest.raises(MetricsError) as caught:
        asyncio.run(ask())
    assert caught.value.reason == reason
    assert caught.value.message.startswith("The metrics of project kosmos cannot be read: ")
    assert caught.value.message.endswith(f"{said}.")
