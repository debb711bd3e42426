"""The default size under load, within its memory limits."""

from __future__ import annotations

import docker

from tests.scenarios.load import container, load_on
from tests.scenarios.report import Report
from tests.scenarios.stack import Stack, with_environment

SERVICES = ("langfuse-web", "langfuse-worker", "postgres", "clickhouse", "valkey", "seaweedfs")
LOAD_S = 8.0


def test_the_limits_of_the_small_size_are_in_force_and_suffice(
    stack: Stack, engine: docker.DockerClient, report: Report
) -> None:
    """The stores' figures are those of the real programs; of web and worker only the limits are rehearsed."""
    small = with_environment(stack, STACK_SIZE="small")
    small.up()
    with load_on(small) as load:
        load.go_on_for(LOAD_S)
    lost = load.lost()
    report.add("small_size", f"load of {LOAD_S:.0f} s", acknowledged=len(load.acknowledged), lost=len(lost))
    assert lost == set()
    sizes = {part.name: part.memory_limit_bytes for part in small.state().parts}
    assert sizes["clickhouse"] == 4096 * 2**20
    assert sizes["langfuse-web"] == 2048 * 2**20
    used = engine_memory(small)
    for service in SERVICES:
        state = container(engine, small, service).attrs["State"]
        assert (state["OOMKilled"], state["ExitCode"]) == (False, 0)
        assert 0 < used[service] < 0.9 * sizes[service]


def engine_memory(stack: Stack) -> dict[str, int]:
    """Return what each service uses, in bytes, as `status` shows it."""
    return dict(stack.engine().memory())
