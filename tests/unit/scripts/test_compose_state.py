"""The compose engine says what runs, how it is, and what it takes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from scripts.core.runner import Completed
from scripts.docker.containers import parse_bytes
from scripts.engines.base import Part

from .compose_fakes import container, docker_shows, make_engine
from .fakes import FakeRunner


def test_services_that_are_not_healthy_are_named(tmp_path: Path) -> None:
    runner = FakeRunner(
        docker_shows(
            container("langfuse-web"),
            container("clickhouse", health="unhealthy"),
            container("langfuse-worker", "restarting", ""),
            container("buckets", "exited", ""),
        )
    )
    state = make_engine(tmp_path, runner, LANGFUSE_PORT="1").state()
    assert (state.running, state.healthy) == (True, False)
    assert state.detail == "not healthy: clickhouse, langfuse-worker"
    assert "buckets" not in {part.name for part in state.parts}


def test_a_service_that_somebody_has_stopped_is_named_although_it_ended_well(tmp_path: Path) -> None:
    stopped = container("langfuse-worker", "exited", "")
    stopped["HostConfig"]["RestartPolicy"] = {"Name": "unless-stopped"}
    runner = FakeRunner(docker_shows(container("langfuse-web"), stopped))
    engine = make_engine(tmp_path, runner, LANGFUSE_PORT="1")
    state = engine.state()
    assert (state.healthy, state.detail) == (False, "not healthy: langfuse-worker")
    engine.layout.stack_dir.mkdir(exist_ok=True)
    engine.layout.resting_worker_file.write_text('{"process": 2147483647, "since": "02:05"}')
    assert engine.state().detail == (
        "not healthy: langfuse-worker; a command that was killed has stopped langfuse-worker at 02:05: "
        "make up starts it"
    )


@pytest.mark.parametrize(
    ("mode", "networks", "healthy"),
    [
        ("langfuse-stack_stores", {}, False),
        ("langfuse-stack_stores", {"langfuse-stack_stores": {}}, True),
        ("container:4711", {}, True),
    ],
)
def test_a_service_that_is_on_no_network_is_named_although_its_own_check_is_content(
    tmp_path: Path, mode: str, networks: dict[str, Any], healthy: bool
) -> None:
    alone = container("valkey")
    alone["HostConfig"]["NetworkMode"] = mode
    alone["NetworkSettings"]["Networks"] = networks
    runner = FakeRunner(docker_shows(alone))
    state = make_engine(tmp_path, runner, LANGFUSE_PORT="1").state()
    assert ("valkey" in state.detail) is not healthy
    assert state.parts[0].health == ("healthy" if healthy else "cut off the network")


def test_each_replica_is_a_part(tmp_path: Path) -> None:
    runner = FakeRunner(
        docker_shows(
            container("langfuse-web"),
            container("langfuse-worker", number=2, health="unhealthy"),
            container("langfuse-worker"),
        )
    )
    state = make_engine(tmp_path, runner, LANGFUSE_PORT="1").state()
    assert [part.name for part in state.parts] == ["langfuse-web", "langfuse-worker", "langfuse-worker-2"]
    assert state.detail == "not healthy: langfuse-worker-2"


def test_a_part_says_since_when_it_runs_what_it_may_use_and_where_it_is_reached(tmp_path: Path) -> None:
    ports = {"9333/tcp": None, "8333/tcp": [{"HostIp": "127.0.0.1", "HostPort": "9090"}]}
    shown = container("seaweedfs", restarts=2, memory=2**30, ports=ports)
    state = make_engine(tmp_path, FakeRunner(docker_shows(shown)), LANGFUSE_PORT="1").state()
    assert state.parts == (
        Part(
            "seaweedfs",
            "running",
            "healthy",
            restarts=2,
            started=datetime(2026, 11, 21, 8, tzinfo=UTC),
            memory_limit_bytes=2**30,
            ports=("127.0.0.1:9090->8333",),
        ),
    )


def test_memory_is_what_docker_measures_of_running_containers(tmp_path: Path) -> None:
    rules = docker_shows(container("valkey"), container("buckets", "exited", ""))
    rules["docker stats"] = Completed(0, "valkey-id\t13.5MiB / 768MiB\nstranger\t1GiB / 2GiB\n")
    runner = FakeRunner(rules)
    assert make_engine(tmp_path, runner).memory() == {"valkey": round(13.5 * 2**20)}
    assert runner.calls[-1][-1] == "valkey-id"


@pytest.mark.parametrize(
    ("text", "size"),
    [("0B", 0), ("1.5GiB", 3 * 2**29), ("12kB", 12_000), ("many", None), ("5 parsecs", None)],
)
def test_sizes_are_read_as_docker_prints_them(text: str, size: int | None) -> None:
    assert parse_bytes(text) == size


def test_a_stopped_stack_is_not_running(tmp_path: Path) -> None:
    state = make_engine(tmp_path, FakeRunner()).state()
    assert (state.running, state.healthy, state.parts) == (False, False, ())
