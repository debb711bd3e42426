"""The worker loses rows, fails jobs, or takes none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import docker
import httpx
import pytest

from scripts.core.errors import EXIT_DRIFT, EXIT_OK
from scripts.data.reconcile import command as reconcile
from tests.scenarios.load import container
from tests.scenarios.report import Report
from tests.scenarios.stack import Stack, export, new_id, readable, wait_readable
from tests.waiting import wait_for

EXPORTS, SPANS_EACH = 20, 5
STUCK = "http://127.0.0.1:3030/api/health?failIfQueueConsumptionStuck=true"


@pytest.fixture
def operator(shared: Stack) -> Iterator[httpx.Client]:
    """Return a client with the admin key; the worker does nothing wrong afterwards."""
    headers = {"authorization": f"Bearer {shared.env()['ADMIN_API_KEY']}"}
    with httpx.Client(base_url=shared.url, headers=headers, timeout=10) as client:
        yield client
        set_fault(client, "none")


def set_fault(operator: httpx.Client, fault: str) -> None:
    """Tell the worker what to do from its next job on."""
    operator.post("/api/rehearsal/worker-fault", json={"fault": fault}).raise_for_status()


@contextmanager
def exports_of(shared: Stack) -> Iterator[tuple[httpx.Client, str, set[str]]]:
    """Send spans that are all acknowledged; give the client, their trace and their ids."""
    trace_id, span_ids = new_id(16), set()
    with shared.client() as client:
        for _ in range(EXPORTS):
            batch = [new_id(8) for _ in range(SPANS_EACH)]
            assert export(client, trace_id, batch).status_code == 200
            span_ids |= set(batch)
        yield client, trace_id, span_ids


def jobs(operator: httpx.Client, state: str) -> int:
    """Return the number of exports in a state."""
    queues = operator.get("/api/admin/bullmq").raise_for_status().json()
    counts = {one["queueName"]: one.get("jobCount", {}) for one in queues}
    return int(counts["otel-ingestion-queue"][state])


def wait_for_jobs(operator: httpx.Client, state: str, number: int) -> None:
    """Return when so many exports are in a state."""
    wait_for(
        lambda: jobs(operator, state) == number,
        lambda: f"{number} exports that are {state}, not {jobs(operator, state)}",
        every_s=0.1,
    )


def test_rows_that_were_given_up_come_back_by_reconcile(
    shared: Stack, operator: httpx.Client, report: Report
) -> None:
    """Their jobs count as done: nothing else would bring them back."""
    set_fault(operator, "drop")
    with exports_of(shared) as (client, trace_id, span_ids):
        for state in ("waiting", "active"):
            wait_for_jobs(operator, state, 0)
        set_fault(operator, "none")
        assert wait_readable(client, trace_id, span_ids, within_s=2) == span_ids

        until = datetime.now(UTC).isoformat()
        window: dict[str, Any] = {"since": "15m", "until": until, "rate": 1000.0}
        assert reconcile.reconcile(shared.context, **window, check=True) == EXIT_DRIFT
        assert reconcile.reconcile(shared.context, **window, check=False) == EXIT_OK
        lost = wait_readable(client, trace_id, span_ids)
        report.add("worker_faults", "worker drops", acknowledged=len(span_ids), lost=len(lost))
        assert lost == set()
        assert reconcile.reconcile(shared.context, **window, check=True) == EXIT_OK


def test_failed_jobs_are_counted_and_come_through_when_they_are_retried(
    shared: Stack, operator: httpx.Client, report: Report
) -> None:
    """As an operator does after a fault is gone."""
    set_fault(operator, "fail")
    with exports_of(shared) as (client, trace_id, span_ids):
        wait_for_jobs(operator, "failed", EXPORTS)
        assert readable(client, trace_id) == set()
        set_fault(operator, "none")
        operator.post("/api/admin/bullmq", json={"action": "retry", "queueNames": ["otel-ingestion-queue"]})
        lost = wait_readable(client, trace_id, span_ids)
        report.add("worker_faults", "worker fails jobs", acknowledged=len(span_ids), lost=len(lost))
        assert lost == set()
    assert jobs(operator, "failed") == 0


def test_a_stalled_worker_is_seen_by_its_health_check_and_loses_nothing(
    shared: Stack, operator: httpx.Client, engine: docker.DockerClient, report: Report
) -> None:
    """It answers, its stores answer, and the queue grows."""
    set_fault(operator, "stall")
    # A take that had begun may still get the first job.
    with exports_of(shared) as (client, trace_id, span_ids):
        assert jobs(operator, "waiting") >= EXPORTS - 1
        worker = container(engine, shared, "langfuse-worker")
        assert worker.exec_run(["wget", "-q", "-O", "-", STUCK]).exit_code != 0
        set_fault(operator, "none")
        lost = wait_readable(client, trace_id, span_ids)
        report.add("worker_faults", "worker stalled", acknowledged=len(span_ids), lost=len(lost))
        assert lost == set()
        assert worker.exec_run(["wget", "-q", "-O", "-", STUCK]).exit_code == 0
