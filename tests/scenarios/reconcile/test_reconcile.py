"""What the worker has dropped after it was acknowledged comes back; what was deleted on purpose does not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from scripts.core.errors import EXIT_DRIFT, EXIT_OK
from scripts.data.reconcile import command
from scripts.stores.queues import depths
from tests.scenarios.report import Report
from tests.scenarios.stack import Stack, export, new_id, readable, wait_readable
from tests.waiting import wait_for

SPANS = 10


def reconcile(stack: Stack, *, check: bool = False) -> int:
    """Run the command up to this moment."""
    now = datetime.now(UTC).isoformat()
    return command.reconcile(stack.context, since="1h", until=now, rate=100, check=check)


def tell_worker(stack: Stack, fault: str) -> None:
    """Tell the worker what to do wrong from now on."""
    httpx.post(
        f"{stack.url}/api/rehearsal/worker-fault",
        headers={"authorization": f"Bearer {stack.env()['ADMIN_API_KEY']}"},
        json={"fault": fault},
    ).raise_for_status()


def send(client: httpx.Client, trace: str) -> set[str]:
    """Send a batch of one trace; return the ids of its spans."""
    spans = [new_id(8) for _ in range(SPANS)]
    assert export(client, trace, spans).status_code == 200
    return set(spans)


def send_and_lose(stack: Stack, client: httpx.Client, traces: list[str]) -> dict[str, set[str]]:
    """Send batches that the worker drops; return their spans once it works as it should again."""
    admin_key = stack.env()["ADMIN_API_KEY"]
    tell_worker(stack, "drop")
    # A job that the worker was just waiting for is done before it hears of that.
    send(client, new_id(16))
    wait_for(lambda: not depths(stack.url, admin_key), "an empty queue")
    sent = {trace: send(client, trace) for trace in traces}
    wait_for(lambda: not depths(stack.url, admin_key), "an empty queue")
    tell_worker(stack, "none")
    return sent


def has_score(client: httpx.Client, score: str) -> bool:
    """Return whether a score can be read."""
    found = client.get("/api/public/v3/scores", params={"id": score}).raise_for_status()
    return bool(found.json()["data"])


def observations(client: httpx.Client, trace: str) -> list[dict[str, Any]]:
    """Return the rows of a trace as the API lists them."""
    query = {"traceId": trace, "limit": "1000"}
    rows: list[dict[str, Any]] = client.get("/api/public/v2/observations", params=query).json()["data"]
    return rows


def test_what_was_dropped_is_found_replayed_and_there_once(shared: Stack, report: Report) -> None:
    traces = [new_id(16) for _ in range(3)]
    with shared.client() as client:
        sent = send_and_lose(shared, client, traces)
        assert all(readable(client, trace) == set() for trace in traces), "the worker has dropped nothing"
        assert reconcile(shared, check=True) == EXIT_DRIFT
        assert all(readable(client, trace) == set() for trace in traces), "a check must not replay"
        assert reconcile(shared) == EXIT_OK
        lost = set().union(*(wait_readable(client, trace, spans) for trace, spans in sent.items()))
        report.add("reconcile", "worker drops rows", acknowledged=3 * SPANS, lost=len(lost))
        assert lost == set()
        assert [len(observations(client, trace)) for trace in traces] == [SPANS] * 3
        assert reconcile(shared, check=True) == EXIT_OK


def test_a_score_that_was_dropped_comes_back(shared: Stack) -> None:
    trace, score = new_id(16), new_id(8)
    with shared.client() as client:
        spans = send(client, trace)
        assert wait_readable(client, trace, spans) == set()
        tell_worker(shared, "drop")
        send(client, new_id(16))
        wait_for(lambda: not depths(shared.url, shared.env()["ADMIN_API_KEY"]), "an empty queue")
        body = {"id": score, "traceId": trace, "name": "mood", "value": 1}
        client.post("/api/public/scores", json=body).raise_for_status()
        wait_for(lambda: not depths(shared.url, shared.env()["ADMIN_API_KEY"]), "an empty queue")
        tell_worker(shared, "none")
        assert not has_score(client, score), "the worker has dropped nothing"
        assert reconcile(shared, check=True) == EXIT_DRIFT
        assert reconcile(shared) == EXIT_OK
        wait_for(lambda: has_score(client, score), "the score")
    assert reconcile(shared, check=True) == EXIT_OK


def test_a_second_call_replays_nothing(shared: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    assert reconcile(shared) == EXIT_OK
    capsys.readouterr()
    assert reconcile(shared) == EXIT_OK
    assert "replayed" not in capsys.readouterr().out


def test_a_deleted_trace_is_not_resurrected(shared: Stack) -> None:
    deleted, dropped = new_id(16), new_id(16)
    with shared.client() as client:
        spans = send(client, deleted)
        assert wait_readable(client, deleted, spans) == set()
        sent = send_and_lose(shared, client, [dropped])
        client.request("DELETE", "/api/public/traces", json={"traceIds": [deleted]}).raise_for_status()
        assert reconcile(shared) == EXIT_OK
        assert wait_readable(client, dropped, sent[dropped]) == set()
        assert readable(client, deleted) == set()
