"""A store is killed while spans come in, and comes back after a few seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import docker
import httpx
import pytest
from docker.models.containers import Container

from tests.scenarios.stack import Stack, export, new_id, wait_readable

SPANS_PER_EXPORT = 5
AWAY_S = 3.0
HEALTHY_WITHIN_S = 90.0


@pytest.fixture(scope="module")
def running(stack: Stack) -> Stack:
    """Return the stack after its first start."""
    stack.up()
    return stack


@pytest.fixture(scope="module")
def engine() -> Iterator[docker.DockerClient]:
    """Return a client of the Docker engine."""
    with closing(docker.from_env()) as client:
        yield client


class Load:
    """Sends exports one after the other, and keeps the ids of the spans that were acknowledged."""

    def __init__(self, stack: Stack) -> None:
        self.trace_id = new_id(16)
        self.acknowledged: set[str] = set()
        self.refused = 0
        self._stack = stack
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        """Send until told to stop."""
        self._thread.start()

    def stop(self) -> None:
        """Wait for the last answer."""
        self._over.set()
        self._thread.join()

    def go_on_for(self, seconds: float) -> None:
        """Return after a time in which the load goes on: that is how long the fault lasts."""
        self._over.wait(seconds)

    def wait_for(self, more: int) -> None:
        """Return when that many further spans were acknowledged."""
        wanted, deadline = len(self.acknowledged) + more, time.monotonic() + HEALTHY_WITHIN_S
        while len(self.acknowledged) < wanted:
            assert time.monotonic() < deadline, f"only {len(self.acknowledged)} of {wanted} were acknowledged"
            time.sleep(0.05)

    def _run(self) -> None:
        with self._stack.client() as client:
            while not self._over.wait(0.02):
                span_ids = [new_id(8) for _ in range(SPANS_PER_EXPORT)]
                try:
                    answer = export(client, self.trace_id, span_ids)
                except httpx.HTTPError:
                    self.refused += SPANS_PER_EXPORT
                    continue
                if answer.status_code == 200:
                    self.acknowledged |= set(span_ids)
                else:
                    self.refused += SPANS_PER_EXPORT


def container(engine: docker.DockerClient, stack: Stack, service: str) -> Container:
    """Return the container of a service."""
    label = [f"com.docker.compose.project={stack.name}", f"com.docker.compose.service={service}"]
    return engine.containers.list(all=True, filters={"label": label})[0]


def wait_healthy(stack: Stack) -> None:
    """Return when every part is healthy again."""
    deadline = time.monotonic() + HEALTHY_WITHIN_S
    while not (state := stack.state()).healthy:
        assert time.monotonic() < deadline, state.detail
        time.sleep(0.5)


@pytest.mark.parametrize("service", ["clickhouse", "valkey", "seaweedfs", "postgres", "langfuse-worker"])
def test_what_was_acknowledged_is_readable_after_the_service_is_back(
    running: Stack, engine: docker.DockerClient, service: str
) -> None:
    """A kill, not a stop; status names the culprit while it is away."""
    load = Load(running)
    load.start()
    try:
        load.wait_for(50)
        victim = container(engine, running, service)
        victim.kill()
        state = running.state()
        assert not state.healthy
        assert service in state.detail
        load.go_on_for(AWAY_S)
        victim.start()
        load.wait_for(50)
    finally:
        load.stop()
    wait_healthy(running)
    with running.client() as client:
        assert wait_readable(client, load.trace_id, load.acknowledged) == set()
