"""A site's own configuration on the compose engine: its projects, its alerts, and the stack's own rules."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import docker
import httpx
import pytest

from scripts.config import init
from tests.scenarios.load import in_container
from tests.scenarios.stack import Stack, other_checkout, with_environment
from tests.waiting import wait_for

RULES = "http://127.0.0.1:9090/api/v1/rules?type=alert"
ROUTES = "http://127.0.0.1:9093/api/v2/status"


@pytest.mark.parametrize("elsewhere", [False, True], ids=["config-local", "elsewhere"])
def test_prometheus_and_alertmanager_take_what_the_site_says(
    make_stack: Callable[[], Stack], engine: docker.DockerClient, tmp_path: Path, elsewhere: bool
) -> None:
    stack = with_environment(other_checkout(make_stack(), tmp_path / "checkout"), STACK_PROFILES="monitoring")
    if elsewhere:
        layout = replace(stack.context.layout, site=tmp_path / "etc" / "langfuse")
        stack = replace(stack, context=replace(stack.context, layout=layout))
    try:
        expect_the_site_to_be_read(stack, engine)
    finally:
        stack.destroy()


def expect_the_site_to_be_read(stack: Stack, engine: docker.DockerClient) -> None:
    """Begin a site, start, edit an alert, start again."""
    assert init.init(stack.context) == 0
    site = stack.context.layout.site_dir
    stack.up()

    def asked(service: str, url: str) -> dict[str, object]:
        answer: dict[str, object] = json.loads(
            in_container(engine, stack, service, "wget", "-q", "-O", "-", url)
        )
        return answer

    def rules() -> set[str]:
        groups = asked("prometheus", RULES)["data"]["groups"]  # type: ignore[index]
        return {rule["name"] for group in groups for rule in group["rules"]}

    with httpx.Client(base_url=stack.url) as client:
        keys = stack.keys("default")
        auth = (keys["LANGFUSE_PUBLIC_KEY"], keys["LANGFUSE_SECRET_KEY"])
        [project] = client.get("/api/public/projects", auth=auth).json()["data"]
    assert project["id"] == "default"
    wait_for(lambda: "daily_budget_exceeded" in rules(), rules)
    assert {"TargetDown", "Watchdog"} <= rules()
    assert "cost_spike" not in rules()
    assert "slack_notify" in str(asked("alertmanager", ROUTES)["config"])

    text = (site / "alerts.yaml").read_text()
    (site / "alerts.yaml").write_text(text.replace("latency_sla_missed", "answers_slow"))
    stack.up()
    wait_for(lambda: "answers_slow" in rules(), rules)
    assert "latency_sla_missed" not in rules()
