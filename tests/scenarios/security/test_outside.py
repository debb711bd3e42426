"""What answers whom, with every profile on: what is published, each network, the stores, keys of others."""

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

from scripts.docker.policy import LISTENS, NETWORKS
from tests.scenarios.extras import Extras
from tests.scenarios.load import container, in_container
from tests.scenarios.stack import Stack, export, new_id, wait_readable
from tests.waiting import wait_for

PROBE = (Path(__file__).parent / "probe.py").read_text()
# No package has Grafana (docs/reference/rehearsal.md).
LISTENERS = {name: ports for name, ports in LISTENS.items() if name != "grafana"}
# What else these programs offer to administrators: closed, or on loopback.
ADMINISTRATION = (2019, 2020, 8126, 8888, 9333, 8080, 9094, 9009, 18080, 18888, 19333, 8181, 9101, 9125, 9102)
EVERY_PORT = sorted({*ADMINISTRATION, *(port for ports in LISTENS.values() for port in ports)})
INSIDE = sorted({network for networks in NETWORKS.values() for network in networks})
# As /proc/net/tcp writes them: 127.0.0.1, 127.0.0.11, ::1; and the state.
LOOPBACK = {"0100007F", "0B00007F", "00000000000000000000000001000000"}
LISTENING = "0A"
WITHIN_S = 60.0


@pytest.fixture(scope="module")
def stack(extras: Extras) -> Stack:
    """Return the shared stack that has all profiles, running."""
    return extras.stack


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


def addresses(engine: docker.DockerClient, stack: Stack) -> dict[str, tuple[str, str]]:
    """Return service and network of the stack by address; what the rehearsal adds is left out."""
    found = {}
    for one in engine.containers.list(filters={"label": f"com.docker.compose.project={stack.name}"}):
        service = one.labels.get("com.docker.compose.service")
        for name, end in one.attrs["NetworkSettings"]["Networks"].items():
            if service in NETWORKS:
                found[end["IPAddress"]] = (service, name.removeprefix(f"{stack.name}_"))
    return found


def test_only_web_s3_and_caddy_are_published_and_only_on_the_loopback_of_the_host(
    engine: docker.DockerClient, extras: Extras, stack: Stack
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
        ("caddy", "80/tcp", extras.address, "80"),
        ("caddy", "443/tcp", extras.address, "443"),
    }
    assert extras.address.startswith("127.")


def test_a_machine_beside_the_host_reaches_no_port_of_the_stack(
    engine: docker.DockerClient, stack: Stack, foreign_network: Network
) -> None:
    foreign_network.reload()
    host = foreign_network.attrs["IPAM"]["Config"][0]["Gateway"]
    published = [int(stack.context.environment[name]) for name in ("LANGFUSE_PORT", "S3_PORT")]
    assert probe(engine, stack, str(foreign_network.name), "ports", host, ports=[*published, 80, 443]) == {
        host: []
    }


def test_a_container_of_another_network_reaches_no_container_of_the_stack(
    engine: docker.DockerClient, stack: Stack, foreign_network: Network
) -> None:
    wanted = list(addresses(engine, stack))
    assert len(wanted) == sum(len(NETWORKS[name]) for name in LISTENERS)
    reached = probe(engine, stack, str(foreign_network.name), "ports", *wanted, ports=EVERY_PORT)
    assert reached == {address: [] for address in wanted}


def listening(engine: docker.DockerClient, stack: Stack, service: str) -> frozenset[int]:
    """Return the TCP ports on which a service listens for others, as its /proc says."""
    said = in_container(engine, stack, service, "cat", "/proc/net/tcp", "/proc/net/tcp6")
    rows = [line.split() for line in said.splitlines() if line.split()[3] == LISTENING]
    ends = [row[1].split(":") for row in rows]
    return frozenset(int(port, 16) for address, port in ends if address not in LOOPBACK)


def test_services_listen_on_the_ports_of_the_drawing_and_on_no_administration(
    engine: docker.DockerClient, stack: Stack
) -> None:
    open_to_others = {name: listening(engine, stack, name) for name in LISTENERS}
    # Docker's own name server listens on a port of its own choice on 127.0.0.11, which is loopback, too.
    assert open_to_others == LISTENERS


@pytest.mark.parametrize("network", INSIDE)
def test_from_each_network_exactly_the_services_on_it_are_reached(
    engine: docker.DockerClient, stack: Stack, network: str
) -> None:
    """From every network every address of every service is tried, by every port that any of them has."""
    if not engine.networks.list(names=[f"{stack.name}_{network}"]):
        assert network == "dashboards", "only Grafana is not rehearsed"
        return
    where = addresses(engine, stack)
    reached = probe(engine, stack, f"{stack.name}_{network}", "ports", *where, ports=EVERY_PORT)
    drawn = {
        address: sorted(LISTENERS[service]) if place == network else []
        for address, (service, place) in where.items()
    }
    assert reached == drawn


def test_no_application_on_edge_and_no_service_on_stores_changes_the_object_store(
    engine: docker.DockerClient, stack: Stack
) -> None:
    """SeaweedFS as it comes does whatever anybody asks on that port; that one is tried, too."""
    store = [address for address, (service, _) in addresses(engine, stack).items() if service == "seaweedfs"]
    answers = probe(engine, stack, f"{stack.name}_edge", "calls", "seaweedfs", *store)
    assert {call for host in answers.values() for call in host.values()} == {"unreachable"}
    answers = probe(engine, stack, f"{stack.name}_stores", "calls", "seaweedfs")
    assert set(answers["seaweedfs"].values()) == {"refused"}
    assert len(answers["seaweedfs"]) == 8
    # Another sum than that of a wrong password: the identity was not made.
    signed = f"http://127.0.0.1:{stack.context.environment['S3_PORT']}/?X-Amz-Algorithm=AWS4-HMAC-SHA256"
    query = "&X-Amz-Credential=intruder/20260101/us-east-1/s3/aws4_request&X-Amz-Date=20260101T000000Z"
    answer = httpx.get(f"{signed}{query}&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=0")
    assert answer.status_code == 403


def test_the_same_calls_succeed_on_a_seaweedfs_without_the_key(
    engine: docker.DockerClient, stack: Stack
) -> None:
    """Else the test above would prove nothing."""
    bundled = container(engine, stack, "seaweedfs")
    kept = [word for word in bundled.attrs["Config"]["Env"] if not word.startswith("WEED_")]
    assert len(kept) < len(bundled.attrs["Config"]["Env"])
    name = f"{stack.name}-open"
    assert bundled.image is not None
    bare = engine.containers.run(
        bundled.image,
        [*bundled.attrs["Config"]["Cmd"]],
        entrypoint=bundled.attrs["Config"]["Entrypoint"],
        environment=kept,
        name=name,
        network=f"{stack.name}_stores",
        tmpfs={"/data": "uid=1000,gid=1000", "/tmp": "mode=1777"},  # noqa: S108 - inside a container
        labels={"com.docker.compose.project": stack.name},
        detach=True,
    )
    try:
        health = ["wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8333/healthz"]
        wait_for(lambda: bare.exec_run(health).exit_code == 0, bare.logs, WITHIN_S, every_s=0.5)
        answers = probe(engine, stack, f"{stack.name}_stores", "calls", name)
    finally:
        bare.remove(force=True)
    assert set(answers[name].values()) == {"done"}


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


def as_monitor(engine: docker.DockerClient, stack: Stack, *command: str) -> str:
    """Return what Valkey says to the user of its exporter."""
    script = 'REDISCLI_AUTH=$MONITOR_PASSWORD exec valkey-cli --no-auth-warning --user langfuse_monitor "$@"'
    return in_container(engine, stack, "valkey", "sh", "-c", script, "valkey-cli", *command).strip()


def test_monitoring_reads_figures_of_valkey_and_no_key_setting_or_command(
    engine: docker.DockerClient, stack: Stack
) -> None:
    assert "redis_version" in as_monitor(engine, stack, "INFO", "server")
    assert as_monitor(engine, stack, "SLOWLOG", "LEN").isdigit()
    for command in (
        ("KEYS", "*"),
        ("GET", "x"),
        ("SET", "x", "1"),
        ("CONFIG", "GET", "requirepass"),
        ("SLOWLOG", "GET"),
        ("MONITOR",),
        ("EVAL", "return 1", "0"),
        ("ACL", "LIST"),
        ("SHUTDOWN",),
    ):
        assert as_monitor(engine, stack, *command).startswith("NOPERM"), command


def test_monitoring_reads_clickhouse_and_changes_no_row_or_table(
    engine: docker.DockerClient, stack: Stack
) -> None:
    def ask(user: str, password: str, statement: str) -> str:
        script = (
            f'printf %s "$1" | CLICKHOUSE_USER={user} CLICKHOUSE_PASSWORD=${password} clickhouse-client 2>&1'
            " || true"
        )
        return in_container(engine, stack, "clickhouse", "sh", "-c", script, "sh", statement).strip()

    def monitor(statement: str) -> str:
        return ask("langfuse_monitor", "MONITOR_PASSWORD", statement)

    create = "CREATE TABLE monitored (a Int8) ENGINE = MergeTree ORDER BY a"
    assert "ACCESS_DENIED" in monitor(create)
    assert ask("langfuse", "CLICKHOUSE_PASSWORD", create) == ""
    try:
        assert monitor("SELECT count() FROM monitored") == "0"
        assert monitor("OPTIMIZE TABLE monitored FINAL") == ""
        for statement in (
            "INSERT INTO monitored VALUES (1)",
            "ALTER TABLE monitored DELETE WHERE 1",
            "TRUNCATE TABLE monitored",
            "DROP TABLE monitored",
            "BACKUP TABLE monitored TO Disk('backups', 'x')",
        ):
            assert "ACCESS_DENIED" in monitor(statement), statement
    finally:
        ask("langfuse", "CLICKHOUSE_PASSWORD", "DROP TABLE monitored")


def test_the_exporters_have_no_password_of_the_server(engine: docker.DockerClient, stack: Stack) -> None:
    env = stack.env()
    for service, name in (
        ("exporter", "CLICKHOUSE_PASSWORD"),
        ("valkey-exporter", "REDIS_AUTH"),
        ("postgres-exporter", "POSTGRES_APP_PASSWORD"),
    ):
        variables = container(engine, stack, service).attrs["Config"]["Env"]
        assert [one.partition("=")[0] for one in variables if env[name] in one] == [], service


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
