"""`OUTBOUND_CALLS=false` cuts containers off other machines, and leaves the published side alone."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace

import docker
import httpx
import pytest
from docker.models.containers import Container

from tests.scenarios.load import container
from tests.scenarios.stack import Stack, export, new_id, wait_readable

# Addresses for documentation (RFC 5737): nobody's.
HOST, OUTSIDE = "198.51.100.1", "198.51.100.2"
PORT = 8080
KNOCK = f"import socket; socket.create_connection(('{OUTSIDE}', {PORT}), timeout=4).close()"


@pytest.fixture(scope="module")
def outside() -> Iterator[None]:
    """Another machine on a cable to this one: it knows the host's address and no way to containers."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("needs root and iproute2, to make a machine on a network of its own")
    name = f"out{secrets.token_hex(3)}"

    def ip(*arguments: str) -> None:
        subprocess.run(["ip", *arguments], check=True, capture_output=True)

    ip("netns", "add", name)
    try:
        ip("link", "add", f"{name}a", "type", "veth", "peer", "name", f"{name}b", "netns", name)
        ip("address", "add", f"{HOST}/30", "dev", f"{name}a")
        ip("link", "set", f"{name}a", "up")
        ip("-n", name, "address", "add", f"{OUTSIDE}/30", "dev", f"{name}b")
        ip("-n", name, "link", "set", f"{name}b", "up")
        server = subprocess.Popen(
            ["ip", "netns", "exec", name, "python3", "-m", "http.server", "--bind", OUTSIDE, str(PORT)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield
        finally:
            server.terminate()
            server.wait(10)
    finally:
        ip("netns", "delete", name)


def reaches_outside(one: Container) -> bool:
    """Return whether a container can open a connection to the other machine."""
    return one.exec_run(["python", "-c", KNOCK]).exit_code == 0


@pytest.fixture(scope="module")
def open_stack(make_stack: Callable[[], Stack]) -> Stack:
    """A stack as it comes."""
    stack = make_stack()
    stack.up()
    return stack


@pytest.mark.usefixtures("outside")
def test_containers_on_the_edge_reach_other_machines_as_it_comes(
    engine: docker.DockerClient, open_stack: Stack
) -> None:
    assert reaches_outside(container(engine, open_stack, "langfuse-web"))


@pytest.mark.usefixtures("outside")
def test_with_one_setting_no_container_reaches_another_machine_and_traces_still_arrive(
    engine: docker.DockerClient, open_stack: Stack
) -> None:
    open_stack.down()
    context = open_stack.context
    closed = replace(
        open_stack, context=replace(context, environment={**context.environment, "OUTBOUND_CALLS": "false"})
    )
    closed.up()
    assert not reaches_outside(container(engine, closed, "langfuse-web"))
    assert not reaches_outside(container(engine, closed, "langfuse-worker"))
    trace_id, span_id = new_id(16), new_id(8)
    with closed.client() as client:
        assert export(client, trace_id, [span_id]).status_code == 200
        assert wait_readable(client, trace_id, {span_id}) == set()
    assert httpx.get(f"http://127.0.0.1:{context.environment['S3_PORT']}/").status_code == 403
