"""Amounts by agent: how often they are asked for, and for how many agents."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import httpx

from scripts.api.client import AsyncApi
from scripts.api.keys import ProjectKey
from scripts.watch.alerts.model import Window
from scripts.watch.alerts.queries import AGENTS_ASKED, plan_queries, values
from scripts.watch.alerts.reader import KeptByAgent, read_answers
from scripts.watch.alerts.series import Series

NOW = datetime(2026, 11, 10, 12, tzinfo=UTC)
SERIES = [
    Series("llm_cost", "sum", Window("24h"), group_by="agent"),
    Series("tokens", "sum", Window("24h"), group_by="agent"),
    Series("llm_cost", "sum", Window("24h")),
]


class Server:
    """A Metrics API with more agents than are asked for; agent number n has spent n USD."""

    def __init__(self, agents: int) -> None:
        self.agents = agents
        self.asked: list[dict[str, Any]] = []
        self.counted = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        query = json.loads(request.url.params["query"])
        self.asked.append(query)
        if query["dimensions"]:
            names = [f"agent-{number}" for number in range(self.agents)][: query["config"]["row_limit"]]
            return httpx.Response(200, json={"data": [{"name": name, "count_count": 1} for name in names]})
        named = [one["value"] for one in query["filters"] if one["column"] == "metadata"]
        if named and named[0].startswith('"'):
            return httpx.Response(200, json={"data": [{"count_count": 0, "sum_totalCost": None}]})
        cost = float(named[0].removeprefix("agent-")) if named else 999
        row = {"count_count": "1", "sum_totalCost": cost, "sum_totalTokens": 7}
        return httpx.Response(200, json={"data": [row]})


def read(server: Server, project: str, kept: KeptByAgent | None) -> dict[Series, dict[str, float]]:
    """Return the values of all series."""

    async def ask() -> dict[Series, dict[str, float]]:
        key = ProjectKey(project, "pk-lf-test-none", "sk-lf-test-none")
        async with AsyncApi(
            "http://langfuse.example", timeout_s=5, transport=httpx.MockTransport(server)
        ) as client:
            slots = asyncio.Semaphore(1)
            answers = await read_answers(client, key, plan_queries(SERIES), NOW, slots=slots, kept=kept)
        server.counted += answers.asked
        return {one: values(one, answers, NOW) for one in SERIES}

    return asyncio.run(ask())


def test_each_agent_takes_two_queries_and_no_more_agents_are_asked_for_than_are_shown() -> None:
    server = Server(AGENTS_ASKED + 30)
    found = read(server, "acme", None)
    assert found[SERIES[0]] == {f"agent-{number}": number for number in range(AGENTS_ASKED)}
    assert set(found[SERIES[1]].values()) == {7}
    assert found[SERIES[2]] == {"": 999}
    assert len(server.asked) == server.counted == 1 + 1 + 2 * AGENTS_ASKED


def test_what_was_read_by_agent_is_used_again_until_it_is_too_old() -> None:
    now = [0.0]
    kept = KeptByAgent(300, clock=lambda: now[0])
    server = Server(3)
    first = read(server, "acme", kept)
    assert len(server.asked) == 1 + 1 + 6
    now[0] = 299
    assert read(server, "acme", kept) == first
    assert len(server.asked) == 8 + 1, "what is not by agent is always asked anew"
    assert read(server, "zeus", kept) == first
    assert len(server.asked) == 9 + 8, "another project has other answers"
    now[0] = 300
    read(server, "acme", kept)
    assert len(server.asked) == 17 + 8
