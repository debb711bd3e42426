"""The profile monitoring: everything is measured, and somebody is told when acknowledged spans vanish."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import docker
import httpx

from tests.scenarios.extras import Extras
from tests.scenarios.load import container, in_container
from tests.scenarios.report import Report

JOBS = {"prometheus", "alertmanager", "exporter", "statsd", "node", "clickhouse", "postgres", "valkey"}
# Prometheus looks every 15 s, Alertmanager waits 10 s for more; what is over is told after a further minute.
TOLD_WITHIN_S, OVER_WITHIN_S = 120.0, 240.0


def wait_for(look: Callable[[], object], within_s: float, what: Callable[[], object]) -> None:
    """Return when `look` finds something."""
    deadline = time.monotonic() + within_s
    while not look():
        assert time.monotonic() < deadline, what()
        time.sleep(1)


def test_every_target_is_scraped(extras: Extras, engine: docker.DockerClient) -> None:
    """All but Grafana, which the rehearsal does not have."""

    def up() -> dict[str, str]:
        url = "http://127.0.0.1:9090/api/v1/targets?state=active"
        text = in_container(engine, extras.stack, "prometheus", "wget", "-q", "-O", "-", url)
        targets = json.loads(text)["data"]["activeTargets"]
        return {target["labels"]["job"]: target["health"] for target in targets}

    wait_for(lambda: not JOBS - {job for job, health in up().items() if health == "up"}, 90, up)
    assert {job for job, health in up().items() if health == "down"} <= {"grafana"}


def test_an_alert_reaches_its_receiver_when_spans_vanish_and_again_when_they_do_not(
    extras: Extras, engine: docker.DockerClient, report: Report
) -> None:
    """The worker acknowledges and drops: only the canary, which reads what it wrote, can see that."""
    key = extras.stack.env()["ADMIN_API_KEY"]

    def tell_worker(fault: str) -> None:
        httpx.post(
            f"{extras.stack.url}/api/rehearsal/worker-fault",
            headers={"authorization": f"Bearer {key}"},
            json={"fault": fault},
        ).raise_for_status()

    def messages() -> list[str]:
        logged = container(engine, extras.stack, "receiver").logs().decode().splitlines()
        return [json.loads(line)["attachments"][0]["title"] for line in logged]

    def told(word: str) -> bool:
        return any(word in one and "CanaryFailing" in one for one in messages()[earlier:])

    def calm() -> bool:
        url = "http://127.0.0.1:9093/api/v2/alerts?filter=alertname=CanaryFailing"
        return not json.loads(
            in_container(engine, extras.stack, "alertmanager", "wget", "-q", "-O", "-", url)
        )

    # While everything started, the canary may have failed: that is over, and told.
    wait_for(calm, OVER_WITHIN_S, messages)
    earlier = len(messages())
    begin = time.monotonic()
    tell_worker("drop")
    try:
        wait_for(lambda: told("FIRING"), TOLD_WITHIN_S, messages)
    finally:
        tell_worker("none")
    earlier, end = len(messages()), time.monotonic()
    wait_for(lambda: told("RESOLVED"), OVER_WITHIN_S, messages)
    over = time.monotonic() - end
    report.add("monitoring", f"worker drops: told after {end - begin:.0f} s, of its end after {over:.0f} s")
