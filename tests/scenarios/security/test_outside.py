"""What answers whom: the published side, a network of applications, the stores, other projects' keys."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest
from docker.models.networks import Network

from tests.scenarios.load import container, in_container
from tests.scenarios.stack import Stack, export, new_id, wait_readable

PROBE = (Path(__file__).parent / "probe.py").read_text()
# SeaweedFS opens it 10000 ports above the S3 interface; docs/reference/compose.md names it as a gap.
S3_INTERNAL = 18333
SERVICE_PORTS = (3000, 3030, 5432, 6379, 8123, 8333, 9000, 9363, S3_INTERNAL)
LISTENERS = {
    "langfuse-web": {3000},
    "langfuse-worker": {3030},
    "postgres": {5432},
    "clickhouse": {8123, 9000, 9363},
    "valkey": {6379},
    "seaweedfs": {8333, S3_INTERNAL},
}
# As /proc/net/tcp writes them: 127.0.0.1, 127.0.0.11, ::1; and the state.
LOOPBACK = {"0100007F", "0B00007F", "00000000000000000000000001000000"}
LISTENING = "0A"


@pytest.fixture(scope="module", autouse=True)
def started(stack: Stack) -> Stack:
    """Return the stack, running."""
    stack.up()
    return stack


@pytest.fixture(scope="module")
def foreign_network(engine: docker.DockerClient, stack: Stack) -> Iterator[Network]:
    """Return a network that has nothing to do with the stack."""
    network = engine.networks.create(f"{stack.name}-foreign")
    yield network
    network.remove()


def probe(
    engine: docker.DockerClient, stack: Stack, network: str, *arguments: str, ports: Iterable[int] = ()
) -> Any:
    """Return what the probe sees from a network. Web's image has Python and the clients of the stores."""
    image = container(engine, stack, "langfuse-web").image
    assert image is not None
    said = engine.containers.run(
        image,
        ["python", "-c", PROBE, *arguments],
        network=network,
        remove=True,
        environment={"PORTS": " ".join(map(str, ports))},
        labels={"com.docker.compose.project": stack.name},
    )
    return json.loads(said)


def addresses(engine: docker.DockerClient, stack: Stack) -> dict[str, str]:
    """Return `service on network` by address."""
    found = {}
    for one in engine.containers.list(filters={"label": f"com.docker.compose.project={stack.name}"}):
        for name, end in one.attrs["NetworkSettings"]["Networks"].items():
            found[end["IPAddress"]] = f"{one.labels['com.docker.compose.service']} on {name}"
    return found


def test_only_web_and_s3_are_published_and_only_on_the_loopback_of_the_host(
    engine: docker.DockerClient, stack: Stack
) -> None:
    published = {
        (one.labels["com.docker.compose.service"], port, host["HostIp"], host["HostPort"])
        for one in engine.containers.list(filters={"label": f"com.docker.compose.project={stack.name}"})
        for port, hosts in one.ports.items()
        for host in hosts or ()
    }
    environment = stack.context.environment
    assert published == {
        ("langfuse-web", "3000/tcp", "127.0.0.1", environment["LANGFUSE_PORT"]),
        ("seaweedfs", "8333/tcp", "127.0.0.1", environment["S3_PORT"]),
    }


def test_a_machine_beside_the_host_reaches_no_port_of_the_stack(
    engine: docker.DockerClient, stack: Stack, foreign_network: Network
) -> None:
    foreign_network.reload()
    host = foreign_network.attrs["IPAM"]["Config"][0]["Gateway"]
    published = [int(stack.context.environment[name]) for name in ("LANGFUSE_PORT", "S3_PORT")]
    assert probe(engine, stack, str(foreign_network.name), "ports", host, ports=published) == {host: []}


def test_a_container_of_another_network_reaches_no_container_of_the_stack(
    engine: docker.DockerClient, stack: Stack, foreign_network: Network
) -> None:
    wanted = list(addresses(engine, stack))
    assert len(wanted) >= 8
    reached = probe(engine, stack, str(foreign_network.name), "ports", *wanted, ports=SERVICE_PORTS)
    assert reached == {address: [] for address in wanted}


def listening(engine: docker.DockerClient, stack: Stack, service: str) -> set[int]:
    """Return the TCP ports on which a service listens for others, as its /proc says."""
    said = in_container(engine, stack, service, "cat", "/proc/net/tcp", "/proc/net/tcp6")
    rows = [line.split() for line in said.splitlines() if line.split()[3] == LISTENING]
    ends = [row[1].split(":") for row in rows]
    return {int(port, 16) for address, port in ends if address not in LOOPBACK}


def test_services_listen_on_the_ports_of_the_drawing_and_on_no_administration(
    engine: docker.DockerClient, stack: Stack
) -> None:
    open_to_others = {name: listening(engine, stack, name) for name in LISTENERS}
    # Docker's own name server listens on a port of its own choice on 127.0.0.11, which is loopback, too.
    assert open_to_others == LISTENERS


def test_an_application_on_the_edge_network_finds_web_s3_and_no_store(
    engine: docker.DockerClient, stack: Stack
) -> None:
    edge = f"{stack.name}_edge"
    on_edge = {name for name in addresses(engine, stack).values() if name.endswith(edge)}
    assert on_edge == {f"{name} on {edge}" for name in ("langfuse-web", "langfuse-worker", "seaweedfs")}
    reached = probe(engine, stack, edge, "ports", "langfuse-web", "seaweedfs", ports=SERVICE_PORTS)
    assert reached == {"langfuse-web": [3000], "seaweedfs": [8333, S3_INTERNAL]}
    stores = [address for address, name in addresses(engine, stack).items() if name.endswith("_stores")]
    reached = probe(engine, stack, edge, "ports", *stores, ports=SERVICE_PORTS)
    assert reached == {address: [] for address in stores}


def test_no_store_answers_without_its_password_or_to_a_wrong_one(
    engine: docker.DockerClient, stack: Stack
) -> None:
    answers = probe(engine, stack, f"{stack.name}_stores", "logins")
    assert "no password supplied" in answers["postgres"]["none"]
    assert "password authentication failed" in answers["postgres"]["wrong"]
    assert answers["valkey"]["none"].startswith("-NOAUTH")
    assert answers["valkey"]["wrong"].startswith("-WRONGPASS")
    for password in ("none", "wrong"):
        assert answers["clickhouse"][password][:3] in {"401", "403", "516"}, answers["clickhouse"]
        assert answers["s3"][password].startswith("403"), answers["s3"]


def test_without_a_key_the_published_side_gives_nothing_but_health(stack: Stack) -> None:
    environment = stack.context.environment
    web = f"http://127.0.0.1:{environment['LANGFUSE_PORT']}"
    assert httpx.get(f"{web}/api/public/health").status_code == 200
    for path in (
        "projects",
        "v2/observations",
        "v3/scores",
        "v2/prompts",
        "v2/datasets",
        "media/x",
    ):
        assert httpx.get(f"{web}/api/public/{path}").status_code == 401, path
    # A read route of v3: not there in events_only, whoever asks.
    assert httpx.get(f"{web}/api/public/sessions").status_code == 404
    for headers in ({}, {"Authorization": f"Bearer {secrets.token_hex(16)}"}):
        answer = httpx.get(f"{web}/api/admin/organizations", headers=headers)
        assert answer.status_code in {401, 403, 404}
    assert httpx.get(f"http://127.0.0.1:{environment['S3_PORT']}/").status_code == 403
    assert httpx.get(f"http://127.0.0.1:{environment['S3_PORT']}/langfuse-media/x").status_code == 403


def test_the_key_of_one_project_reads_and_deletes_nothing_of_another(stack: Stack) -> None:
    trace_id, span_id, name = new_id(16), new_id(8), f"kosmos-private-{new_id(4)}"
    with stack.client() as owner, stack.client(stack.keys("zeus")) as stranger:
        assert export(owner, trace_id, [span_id]).status_code == 200
        assert wait_readable(owner, trace_id, {span_id}) == set()
        owner.post(
            "/api/public/v2/prompts", json={"name": name, "prompt": name, "labels": ["production"]}
        ).raise_for_status()
        owner.post("/api/public/v2/datasets", json={"name": name}).raise_for_status()
        item = owner.post("/api/public/dataset-items", json={"datasetName": name, "input": name})
        own = [
            f"v2/prompts/{name}",
            f"v2/datasets/{name}",
            f"dataset-items/{item.raise_for_status().json()['id']}",
        ]
        lists = ["v2/prompts", "v2/datasets", "dataset-items", f"v2/observations?traceId={trace_id}"]
        assert [owner.get(f"/api/public/{path}").status_code for path in own] == [200] * 3
        assert [stranger.get(f"/api/public/{path}").status_code for path in own] == [404] * 3
        for path in lists:
            mine, theirs = owner.get(f"/api/public/{path}"), stranger.get(f"/api/public/{path}")
            assert len(mine.json()["data"]) >= 1, path
            assert name not in theirs.text, path
            assert trace_id not in theirs.text, path
        stranger.request("DELETE", f"/api/public/traces/{trace_id}")
        assert stranger.delete(f"/api/public/v2/prompts/{name}").status_code == 404
        assert owner.get(f"/api/public/v2/prompts/{name}").status_code == 200
        assert wait_readable(owner, trace_id, {span_id}) == set()
