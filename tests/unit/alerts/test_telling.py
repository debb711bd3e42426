"""What alerts say is told to a server that has a place for it, what fires first."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx
import pytest

from scripts.api.client import AsyncApi
from scripts.api.errors import ErrorAnswer
from scripts.api.keys import ProjectKey
from scripts.watch.alerts.document import load_alerts
from scripts.watch.alerts.evaluate import Finding, State
from scripts.watch.alerts.telling import MOST_ALERTS, tell

FILE = """
actions:
  hook: {type: webhook, url: http://127.0.0.1:9/}
alerts:
  - {name: slow, metric: latency, condition: p95 > 3, window: 1h, severity: critical, action: hook}
"""


@pytest.fixture
def findings(tmp_path: Path) -> list[Finding]:
    path = tmp_path / "alerts.yaml"
    path.write_text(FILE)
    [alert] = load_alerts(path, path.name).alerts
    return [
        Finding(alert, "acme", "", State.OK, 1.5, 3, 10),
        Finding(alert, "acme", "router", State.NO_DATA, None, 3, 0),
        Finding(alert, "acme", "answer", State.FIRING, float("inf"), 3, 10),
    ]


def told(findings: list[Finding], status: int = 200) -> tuple[bool, list[httpx.Request]]:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(status, json={"message": "no"})

    async def ask() -> bool:
        transport = httpx.MockTransport(answer)
        async with AsyncApi("http://langfuse.example", timeout_s=5, transport=transport) as client:
            return await tell(client, ProjectKey("acme", "pk-lf-test-none", "sk-lf-test-none"), findings)

    return asyncio.run(ask()), asked


def test_the_states_of_a_project_go_out_in_one_request_what_fires_first(findings: list[Finding]) -> None:
    has_place, [request] = told(findings)
    assert has_place
    assert (request.method, request.url.path) == ("PUT", "/api/embedded/alerts")
    assert request.headers["authorization"].startswith("Basic ")
    alerts = json.loads(request.content)["alerts"]
    assert [(one["group"], one["state"], one["value"]) for one in alerts] == [
        ("answer", "firing", None),
        ("", "ok", 1.5),
        ("router", "no_data", None),
    ]
    assert alerts[0] | {"group": ""} == {
        "name": "slow",
        "group": "",
        "state": "firing",
        "severity": "critical",
        "condition": "p95 > 3",
        "window": "1h",
        "value": None,
        "runbook": "docs/runbooks/slow.md",
        "description": "",
    }


@pytest.mark.parametrize("status", [404, 405])
def test_a_server_without_a_place_for_it_is_no_error(findings: list[Finding], status: int) -> None:
    assert told(findings, status)[0] is False


@pytest.mark.parametrize("status", [400, 401, 500])
def test_a_refusal_is_an_error(findings: list[Finding], status: int) -> None:
    with pytest.raises(ErrorAnswer, match=f"answers {status}"):
        told(findings, status)


def test_no_more_are_told_than_the_engine_takes(findings: list[Finding]) -> None:
    _, [request] = told(findings[:1] * MOST_ALERTS + findings)
    alerts = json.loads(request.content)["alerts"]
    assert len(alerts) == MOST_ALERTS
    assert alerts[0]["group"] == "answer"
