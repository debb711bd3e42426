"""A store is killed while spans come in, and comes back after a few seconds."""

from __future__ import annotations

from pathlib import Path

import docker
import pytest

from tests.scenarios.load import Load, container, wait_healthy
from tests.scenarios.stack import Stack, wait_readable

AWAY_S = 3.0
THREE_ATTEMPTS = Path(__file__).parent / "three_attempts.yaml"


@pytest.fixture(scope="module")
def running(stack: Stack) -> Stack:
    """Return the stack after its first start."""
    stack.up()
    return stack


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


def test_with_the_three_attempts_of_the_server_the_same_fault_loses_spans(
    running: Stack, engine: docker.DockerClient
) -> None:
    """Why the stack sets more, and that the test above would see a loss. Last: it changes the stack."""
    running.with_files(THREE_ATTEMPTS).up()
    load = Load(running)
    load.start()
    try:
        load.wait_for(50)
        victim = container(engine, running, "clickhouse")
        victim.kill()
        load.go_on_for(AWAY_S)
        victim.start()
        load.wait_for(50)
    finally:
        load.stop()
    wait_healthy(running)
    with running.client() as client:
        assert wait_readable(client, load.trace_id, load.acknowledged, within_s=10) != set()
