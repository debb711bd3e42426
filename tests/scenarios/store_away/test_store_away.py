"""A store, or the worker, goes away while spans come in: killed, paused, or cut off the network."""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import docker
import docker.errors
import pytest
from docker.models.containers import Container

from rehearsal.langfuse.rows import REFUSED
from scripts.core.console import Console
from scripts.core.errors import EXIT_FAILED, EXIT_OK, EngineError
from scripts.data.reconcile import command
from scripts.data.upgrade import repair_queues
from tests.scenarios.load import container, load_on, wait_healthy
from tests.scenarios.report import Report
from tests.scenarios.stack import Stack, export, new_id, readable, wait_readable
from tests.scenarios.upgrade.drill import services_of
from tests.unit.scripts.fakes import Screen

THREE_ATTEMPTS = Path(__file__).parent / "three_attempts.yaml"
SERVICES = ("clickhouse", "valkey", "seaweedfs", "postgres", "langfuse-worker")
FREEZES_WITHIN_S = 10.0


class Fault(ABC):
    """Something that takes a container away, and brings it back."""

    word: str
    away_s: float

    def __init__(self, victim: Container) -> None:
        self.victim = victim

    @abstractmethod
    def take(self) -> None:
        """Take it away."""

    @abstractmethod
    def bring_back(self) -> None:
        """Undo that."""


class Kill(Fault):
    """As when the host's memory is full, or somebody pulls the plug of one process."""

    word, away_s = "killed", 3.0

    def take(self) -> None:
        self.victim.kill()

    def bring_back(self) -> None:
        self.victim.start()


class Pause(Fault):
    """It answers nobody, and its connections stay: longer than web and worker wait for an answer."""

    word, away_s = "paused", 6.0

    def take(self) -> None:
        deadline = time.monotonic() + FREEZES_WITHIN_S
        while True:
            try:
                return self.victim.pause()
            # With cgroup v1 runc gives up where a process starts meanwhile, as one of the health check does.
            except docker.errors.APIError as error:
                if "unable to freeze" not in str(error) or time.monotonic() > deadline:
                    raise

    def bring_back(self) -> None:
        self.victim.unpause()


class CutOff(Fault):
    """It runs and nobody reaches it; its own health check sees nothing of that."""

    word, away_s = "cut off", 6.0

    def __init__(self, victim: Container) -> None:
        super().__init__(victim)
        self._networks: dict[str, Any] = {}

    def take(self) -> None:
        self._networks = dict(self.victim.attrs["NetworkSettings"]["Networks"])
        for network in self._networks:
            self._network(network).disconnect(self.victim)

    def bring_back(self) -> None:
        for network, before in self._networks.items():
            self._network(network).connect(self.victim, aliases=before["Aliases"])

    def _network(self, name: str) -> Any:
        client: Any = self.victim.client
        return client.networks.get(name)


@pytest.fixture(scope="module")
def started(stack: Stack) -> Stack:
    """Return a stack for these tests alone: they take as long as all that share one."""
    stack.up()
    return stack


@pytest.fixture
def target(started: Stack) -> Stack:
    """Return it running and healthy, which is how each test leaves it."""
    wait_healthy(started)
    return started


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("kind", [Kill, Pause, CutOff])
def test_what_was_acknowledged_is_readable_after_it_is_back(
    target: Stack, engine: docker.DockerClient, report: Report, kind: type[Fault], service: str
) -> None:
    """And `status` names the culprit while it is away."""
    fault = kind(container(engine, target, service))
    with load_on(target) as load:
        fault.take()
        try:
            state = target.state()
            assert not state.healthy
            assert service in state.detail
            load.go_on_for(fault.away_s)
        finally:
            fault.bring_back()
    if (kind, service) == (Kill, "langfuse-worker"):
        # What a killed worker held in memory is in the events bucket only.
        wait_healthy(target)
        assert reconcile(target) == EXIT_OK
    lost = load.lost()
    report.add("store_away", f"{service} {kind.word}", acknowledged=len(load.acknowledged), lost=len(lost))
    assert lost == set()


def test_a_clickhouse_that_is_away_for_twenty_seconds_costs_nothing(
    target: Stack, engine: docker.DockerClient, report: Report
) -> None:
    """The worker holds what it cannot write, and nobody has to replay anything."""
    fault = Kill(container(engine, target, "clickhouse"))
    with load_on(target) as load:
        fault.take()
        load.go_on_for(20.0)
        fault.bring_back()
    lost = load.lost()
    report.add("store_away", "clickhouse away for 20 s", acknowledged=len(load.acknowledged), lost=len(lost))
    assert lost == set()


def test_a_worker_that_is_stopped_writes_what_it_holds_and_ends_by_itself(
    target: Stack, engine: docker.DockerClient, report: Report
) -> None:
    """It would live on until Docker kills it: exit code 137, a minute later."""
    worker = container(engine, target, "langfuse-worker")
    with load_on(target) as load:
        worker.stop(timeout=60)
        worker.reload()
        assert worker.attrs["State"]["ExitCode"] == 0
        assert b"Shutdown complete" in worker.logs(tail=5)
        worker.start()
    lost = load.lost()
    report.add("store_away", "worker stopped", acknowledged=len(load.acknowledged), lost=len(lost))
    assert lost == set()


def test_a_file_of_the_queues_that_ends_in_zeros_is_repaired_and_nothing_is_lost(target: Stack) -> None:
    """What a power cut leaves: Valkey does not start, and `up` says what to do."""
    begin = datetime.now(UTC)  # a row that ClickHouse refuses, of another test, never comes back
    trace, spans = new_id(16), [new_id(8) for _ in range(5)]
    services = services_of(target)
    with target.client() as client:
        assert export(client, trace, spans).status_code == 200
        services.stop("valkey")
        zeros = "for one in /data/appendonlydir/*.incr.aof; do head -c 4096 /dev/zero >>$one; done"
        services.run_inside("valkey", ["sh", "-c", zeros])
        with pytest.raises(EngineError) as caught:
            target.up()
        assert "make repair-queues" in caught.value.fix
        assert repair_queues.repair_queues(target.context, yes=True, dry_run=True) == EXIT_OK
        assert repair_queues.repair_queues(target.context, yes=True, dry_run=False) == EXIT_OK
        target.up()
        assert reconcile(target, since=begin.isoformat()) == EXIT_OK
        assert wait_readable(client, trace, set(spans), 60.0) == set()


TEN_COSTS = json.dumps({f"input_{number}": 999_999 for number in range(10)})
"""Each fits into its column, their sum does not fit into the one that ClickHouse computes."""


@pytest.mark.parametrize(
    ("project", "refused"),
    [
        ("kosmos", {"key": REFUSED, "value": {"boolValue": True}}),
        ("zeus", {"key": "langfuse.observation.cost_details", "value": {"stringValue": TEN_COSTS}}),
    ],
    ids=["cannot-be-read", "fails-later"],
)
def test_one_row_that_clickhouse_refuses_holds_nobody_up_and_is_named(
    target: Stack, monkeypatch: pytest.MonkeyPatch, project: str, refused: dict[str, Any]
) -> None:
    """Each in another project: where all of several batches are missing, `reconcile` blames the worker."""
    screen = Screen()
    console = Console({"CI": "1"}, screen.out, screen.err)
    seen = replace(target, context=replace(target.context, console=console))
    begin = datetime.now(UTC)
    trace, poison = new_id(16), new_id(8)
    others = [new_id(8) for _ in range(10)]
    with target.client(target.keys(project)) as client:
        assert export(client, trace, [poison], [refused]).status_code == 200
        assert export(client, trace, others).status_code == 200
        assert wait_readable(client, trace, set(others), 60.0) == set()
        assert poison not in readable(client, trace)
        monkeypatch.setattr("scripts.data.reconcile.replay.PATIENCE_S", 3.0)
        assert reconcile(seen, since=begin.isoformat()) == EXIT_FAILED, screen.out.getvalue()
        assert f"{trace}/{poison}" in screen.err.getvalue()
        assert (
            command.reconcile(seen.context, since="1h", until="", rate=100, check=False, show=poison)
            == EXIT_OK
        )
        assert f'"spanId": "{poison}"' in screen.out.getvalue()
        assert len(readable(client, trace)) == len(others)


def reconcile(stack: Stack, since: str = "1h") -> int:
    """Run the command up to this moment."""
    return command.reconcile(
        stack.context, since=since, until=datetime.now(UTC).isoformat(), rate=100, check=False
    )


def test_with_the_three_attempts_of_the_server_a_killed_clickhouse_costs_spans(
    target: Stack, engine: docker.DockerClient
) -> None:
    """Why the stack sets more, and that the test above would see a loss."""
    target.with_files(THREE_ATTEMPTS).up()
    try:
        fault = Kill(container(engine, target, "clickhouse"))
        with load_on(target) as load:
            fault.take()
            # A connection to an address that nobody has may take seconds to fail, three times.
            load.go_on_for(20.0)
            fault.bring_back()
        assert load.lost(within_s=10) != set()
    finally:
        target.up()
