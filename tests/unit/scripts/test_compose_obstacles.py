"""The compose engine names what prevents a start, before it starts anything."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.core import host
from scripts.core.runner import Completed
from scripts.engines.base import Obstacle
from scripts.engines.compose import other_port_fix
from scripts.settings.envfile import parse_env, read_env
from scripts.settings.table import SETTINGS
from scripts.settings.values import load_settings

from .compose_fakes import container, docker_shows, make_engine
from .fakes import Answer, FakeRunner, layout_in

INFO = Completed(
    0, json.dumps({"DockerRootDir": "/var/lib/docker", "ID": "zeus", "SecurityOptions": ["name=seccomp"]})
)
DOCKER_HERE: dict[str, Answer] = {
    "docker info --format json": INFO,
    "docker context inspect": Completed(0, "unix:///var/run/docker.sock\n"),
}


def test_taken_ports_a_small_disk_and_a_bad_file_are_all_obstacles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "port_state", lambda _host, _port: host.PortState.TAKEN)
    monkeypatch.setattr(host, "port_holder", lambda port: f"nginx (process {port})")
    monkeypatch.setattr(host, "free_bytes", lambda _path: 3 * 2**30)
    rules: dict[str, Answer] = {"config --quiet": Completed(15, "", "services.web must be a mapping\n")}
    runner = FakeRunner({**rules, **DOCKER_HERE})
    reasons = [obstacle.reason for obstacle in make_engine(tmp_path, runner).obstacles()]
    assert reasons == [
        "compose.yaml is not usable: services.web must be a mapping",
        "Port 3000 (LANGFUSE_PORT) is taken by nginx (process 3000).",
        "Port 9090 (S3_PORT) is taken by nginx (process 9090).",
        "3.0 GiB are free where Docker keeps images and data (/var/lib/docker); they need 10.",
    ]


def obstacles_of_ports(
    directory: Path, state: host.PortState, rules: dict[str, Answer] | None = None, **settings: str
) -> list[Obstacle]:
    """Return what stands in the way where every port is in that state for this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host, "port_state", lambda _host, _port: state)
        patch.setattr(host, "free_bytes", lambda _path: 2**40)
        runner = FakeRunner({**DOCKER_HERE, **(rules or {})})
        return list(make_engine(directory, runner, **settings).obstacles())


HTTPS = {"STACK_PROFILES": "tls", "TLS_DOMAIN": "langfuse.acme.example", "S3_DOMAIN": "s3.acme.example"}


def test_a_port_that_only_root_may_open_is_no_obstacle_for_docker(tmp_path: Path) -> None:
    assert obstacles_of_ports(tmp_path, host.PortState.DENIED, **HTTPS) == []


def test_an_address_that_the_host_does_not_have_is_named_with_its_setting(tmp_path: Path) -> None:
    found = obstacles_of_ports(tmp_path, host.PortState.NO_ADDRESS, **HTTPS, TLS_BIND_ADDRESS="198.51.100.7")
    assert [one.reason for one in found if "HTTPS_PORT" in one.reason] == [
        "This host has no address 198.51.100.7 (TLS_BIND_ADDRESS), so HTTPS_PORT cannot be opened on it."
    ]


def test_ports_of_this_machine_say_nothing_about_a_docker_elsewhere(tmp_path: Path) -> None:
    remote: dict[str, Answer] = {"docker context inspect": Completed(0, "ssh://athena.acme.example\n")}
    assert obstacles_of_ports(tmp_path, host.PortState.TAKEN, remote) == []


def test_a_port_of_another_container_is_taken_also_where_no_process_listens(tmp_path: Path) -> None:
    listed = "acme-web-1\t0.0.0.0:9090->80/tcp, [::]:9090->80/tcp\nzeus-web-1\t192.0.2.1:3000->80/tcp\n"
    found = obstacles_of_ports(tmp_path, host.PortState.FREE, {"docker ps --format": Completed(0, listed)})
    assert [one.reason for one in found] == ["Port 9090 (S3_PORT) is taken by container acme-web-1."]


def test_rootless_docker_may_not_open_low_ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "first_open_port", lambda: 1024)
    info = {**json.loads(INFO.stdout), "SecurityOptions": ["name=seccomp,profile=builtin", "name=rootless"]}
    rootless: dict[str, Answer] = {"docker info --format json": Completed(0, json.dumps(info))}
    found = obstacles_of_ports(tmp_path, host.PortState.DENIED, rootless, **HTTPS)
    assert [one.reason.partition(",")[0] for one in found] == [
        "Port 443 (HTTPS_PORT) cannot be opened by rootless Docker",
        "Port 80 (HTTP_PORT) cannot be opened by rootless Docker",
    ]
    assert "ip_unprivileged_port_start=443" in found[0].fix


def test_the_docker_of_a_snap_sees_files_below_home_only(tmp_path: Path) -> None:
    info = {**json.loads(INFO.stdout), "DockerRootDir": "/var/snap/docker/common/var-lib-docker"}
    snap: dict[str, Answer] = {"docker info --format json": Completed(0, json.dumps(info))}
    (found,) = obstacles_of_ports(tmp_path, host.PortState.FREE, snap)
    assert found.reason == f"Docker is a snap here, which cannot see {tmp_path}."


@pytest.mark.parametrize(
    ("before", "command"),
    [
        (None, "echo LANGFUSE_PORT=3100 >> .env"),
        ("LANGFUSE_PORT=3000\n", "sed"),
        ("  export LANGFUSE_PORT = 3000\nS3_PORT=9090\n", "sed"),
    ],
)
def test_another_port_that_is_advised_holds_for_every_later_command(
    tmp_path: Path, before: str | None, command: str
) -> None:
    directory = tmp_path / "a path with # and %"
    directory.mkdir()
    if before:
        (directory / ".env").write_text(before)
    layout = layout_in(directory)
    fix = other_port_fix(layout, {"LANGFUSE_PORT": "3000"}, "LANGFUSE_PORT", "127.0.0.1", 3000)
    advised = fix.removeprefix("choose another port (").removesuffix(") or stop that, then repeat")
    assert command in advised
    environment = {"PATH": os.environ["PATH"], "LANGFUSE_PORT": "3000"}
    script = f'{advised}\nprintf %s "$LANGFUSE_PORT"'
    said = subprocess.run(
        ["sh", "-ec", script], cwd=directory, env=environment, capture_output=True, check=True
    )
    assert said.stdout == b""
    port = read_env(layout.env_file).values()["LANGFUSE_PORT"]
    assert host.port_state("127.0.0.1", int(port)) is host.PortState.FREE
    assert port != "3000"


@pytest.mark.parametrize(
    ("stores", "missing"),
    [
        ("", []),
        ("clickhouse postgres s3 valkey caddy", []),
        ("clickhouse postgres s3", ["valkey"]),
        ("caddy", []),
    ],
)
def test_a_store_without_its_volume_is_an_obstacle_when_others_have_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stores: str, missing: list[str]
) -> None:
    monkeypatch.setattr(host, "port_state", lambda _host, _port: host.PortState.FREE)
    monkeypatch.setattr(host, "free_bytes", lambda _path: 2**40)
    listed = "\n".join(f"langfuse-stack_{store}" for store in stores.split())
    obstacles = make_engine(tmp_path, FakeRunner({"docker volume": Completed(0, listed)})).obstacles()
    assert [obstacle.reason for obstacle in obstacles] == [
        f"Volume langfuse-stack_{store} is missing, while others of this stack are there."
        for store in missing
    ]
    assert all(obstacle.fix.endswith("langfuse-stack_valkey") for obstacle in obstacles)


def test_a_store_of_ones_own_needs_no_volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "port_state", lambda _host, _port: host.PortState.FREE)
    monkeypatch.setattr(host, "free_bytes", lambda _path: 2**40)
    listed = "\n".join(f"langfuse-stack_{store}" for store in ("clickhouse", "postgres", "s3"))
    engine = make_engine(tmp_path, FakeRunner({"docker volume": Completed(0, listed)}))
    # Such a setting counts in the file only.
    written = parse_env("REDIS_HOST=redis.acme.example\nREDIS_AUTH=obviously-fake\n")
    own = load_settings(SETTINGS, written, engine.settings.values)
    assert replace(engine, settings=own).obstacles() == []


def test_a_running_stack_has_no_obstacles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "port_state", lambda _host, _port: host.PortState.TAKEN)
    runner = FakeRunner(docker_shows(container("langfuse-web")))
    assert make_engine(tmp_path, runner).obstacles() == []
