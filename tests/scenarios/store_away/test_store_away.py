"""A store, or the worker, goes away while spans come in: killed, paused, or cut off the network."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import docker
import docker.errors
import pytest
from docker.models.containers import Container

from tests.scenarios.load import container, load_on, wait_healthy
from tests.scenarios.report import Report
from tests.scenarios.stack import Stack

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
    lost = load.lost()
    report.add("store_away", f"{service} {kind.word}", acknowledged=len(load.acknowledged), lost=len(lost))
    assert lost == set()


def test_with_the_three_attempts_of_the_server_a_killed_clickhouse_costs_spans(
    target: Stack, engine: docker.DockerClient
) -> None:
    """Why the stack sets more, and that the test above would see a loss."""
    target.with_files(THREE_ATTEMPTS).up()
    try:
        fault = Kill(container(engine, target, "clickhouse"))
        with load_on(target) as load:
            fault.take()
            load.go_on_for(fault.away_s)
            fault.bring_back()
        assert load.lost(within_s=10) != set()
    finally:
        target.up()
