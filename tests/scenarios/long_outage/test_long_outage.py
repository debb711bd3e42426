"""ClickHouse is away for longer than monitoring remembers what it does not hear of again."""

from __future__ import annotations

import json
from urllib.parse import quote

import docker
import httpx

from tests.scenarios.extras import Extras
from tests.scenarios.load import container, in_container, load_on, wait_healthy
from tests.scenarios.report import Report
from tests.scenarios.stack import export, new_id
from tests.waiting import wait_for

AWAY_S = 720.0
PAUSE_S = 0.5
# What ClickHouse itself counts, it cannot tell while it is away.
EXPECTED = {"CanaryFailing", "TargetDown", "WriterWaiting"}
COUNTED_WITHIN_S = 60.0


def test_twelve_minutes_without_clickhouse_are_told_and_cost_nothing(
    extras: Extras, engine: docker.DockerClient, report: Report
) -> None:
    """And what the worker had counted before is counted still, though it says nothing of it meanwhile."""
    stack = extras.stack
    wait_healthy(stack)

    def query(expression: str) -> list[dict[str, str]]:
        url = f"http://127.0.0.1:9090/api/v1/query?query={quote(expression)}"
        found = json.loads(in_container(engine, stack, "prometheus", "wget", "-q", "-O", "-", url))
        return [{**one["metric"], "": one["value"][1]} for one in found["data"]["result"]]

    def tell_worker(fault: str) -> None:
        httpx.post(
            f"{stack.url}/api/rehearsal/worker-fault",
            headers={"authorization": f"Bearer {stack.env()['ADMIN_API_KEY']}"},
            json={"fault": fault},
        ).raise_for_status()

    def dropped() -> float:
        return sum(float(one[""]) for one in query("langfuse_clickhouse_writer_dropped_rows_total"))

    tell_worker("drop")
    with stack.client() as client:
        assert export(client, new_id(16), [new_id(8)]).status_code == 200
    wait_for(lambda: dropped() > 0, "the rows that were dropped are counted", COUNTED_WITHIN_S)
    tell_worker("none")
    before = dropped()

    victim = container(engine, stack, "clickhouse")
    with load_on(stack, pause_s=PAUSE_S) as load:
        victim.kill()
        try:
            load.go_on_for(AWAY_S)
            told = {one["alertname"] for one in query('ALERTS{alertstate="firing"}')}
            kept = dropped()
        finally:
            victim.start()
    lost = load.lost(within_s=120.0)
    report.add(
        "long_outage", "clickhouse away for 12 min", acknowledged=len(load.acknowledged), lost=len(lost)
    )
    assert kept >= before
    assert told >= EXPECTED, told
    assert lost == set()
