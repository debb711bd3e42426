"""The profile monitoring: everything is measured, and somebody is told when acknowledged spans vanish."""

from __future__ import annotations

import json
import re
import time

import docker
import httpx

from tests.scenarios.extras import Extras
from tests.scenarios.load import container, in_container
from tests.scenarios.report import Report
from tests.scenarios.stack import export, new_id, wait_readable
from tests.waiting import wait_for

JOBS = {"prometheus", "alertmanager", "exporter", "statsd", "node", "clickhouse", "postgres", "valkey"}
# Prometheus looks every 15 s, Alertmanager waits 10 s for more; what is over is told after a further minute.
NO_AUTH = httpx.Auth()
TOLD_WITHIN_S, OVER_WITHIN_S = 120.0, 240.0


def test_every_target_is_scraped(extras: Extras, engine: docker.DockerClient) -> None:
    """All but Grafana, which the rehearsal does not have."""

    def up() -> dict[str, str]:
        url = "http://127.0.0.1:9090/api/v1/targets?state=active"
        text = in_container(engine, extras.stack, "prometheus", "wget", "-q", "-O", "-", url)
        targets = json.loads(text)["data"]["activeTargets"]
        return {target["labels"]["job"]: target["health"] for target in targets}

    wait_for(lambda: not JOBS - {job for job, health in up().items() if health == "up"}, up, 90, every_s=1)
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
    wait_for(calm, messages, OVER_WITHIN_S, every_s=1)
    earlier = len(messages())
    begin = time.monotonic()
    tell_worker("drop")
    trace, spans = new_id(16), {new_id(8) for _ in range(5)}
    try:
        # A job that the worker was just waiting for is done before it hears of that.
        wait_for(lambda: told("FIRING"), messages, TOLD_WITHIN_S, every_s=1)
        with extras.stack.client() as client:
            assert export(client, trace, sorted(spans)).status_code == 200
            key_of = {"Authorization": f"Bearer {key}"}

            def waiting() -> int:
                queues = client.get("/api/admin/bullmq", headers=key_of, auth=NO_AUTH).json()
                counts = {one["queueName"]: one.get("jobCount", {}) for one in queues}
                return sum(counts["otel-ingestion-queue"].get(state, 0) for state in ("waiting", "active"))

            wait_for(lambda: not waiting(), lambda: f"{waiting()} jobs are left", every_s=1)
    finally:
        tell_worker("none")
    earlier, end = len(messages()), time.monotonic()
    wait_for(lambda: told("RESOLVED"), messages, OVER_WITHIN_S, every_s=1)
    over = time.monotonic() - end
    # Nobody runs `reconcile`: the exporter finds out, and brings back what was dropped.
    with extras.stack.client() as client:
        lost = wait_readable(client, trace, spans, OVER_WITHIN_S)
    report.add("monitoring", "worker drops: replayed by itself", acknowledged=len(spans), lost=len(lost))
    assert lost == set()

    def exposition() -> str:
        url = "http://exporter:9464/metrics"
        return in_container(engine, extras.stack, "prometheus", "wget", "-q", "-O", "-", url)

    # It counts what its next look finds to be back.
    wait_for(
        lambda: re.search(r"^langfuse_reconcile_replayed_spans [1-9]", exposition(), re.MULTILINE),
        exposition,
        OVER_WITHIN_S,
        every_s=1,
    )
    report.add("monitoring", f"worker drops: told after {end - begin:.0f} s, of its end after {over:.0f} s")
