"""What this machine says of ports and disks, also to a user who may not look at everything."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from scripts.core import host
from scripts.core.host import PortState
from scripts.docker.daemon import daemon_from

# Kept for documentation: no host has it (RFC 5737).
NOWHERE = "192.0.2.1"


@pytest.fixture
def listener() -> Iterator[int]:
    """Return a port of loopback that this process listens on."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


class Refusing(socket.socket):
    """A socket of a user who may not listen anywhere."""

    def bind(self, _address: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")


def listeners(*found: tuple[str, int]) -> Any:
    """Stand in for the system's list of listeners, as it is without privileges: no process is named."""
    rows = [
        SimpleNamespace(status=psutil.CONN_LISTEN, pid=None, laddr=SimpleNamespace(ip=ip, port=port))
        for ip, port in found
    ]
    return lambda **_: rows


def test_a_port_is_free_until_somebody_listens(listener: int) -> None:
    assert host.port_state("127.0.0.1", listener) is PortState.TAKEN
    assert host.port_state("0.0.0.0", listener) is PortState.TAKEN  # noqa: S104 - tried, nothing listens
    assert host.port_state("127.0.0.2", listener) is PortState.FREE


def test_an_address_of_another_host_is_not_taken() -> None:
    assert host.port_state(NOWHERE, 4711) is PortState.NO_ADDRESS


def test_what_this_user_may_not_open_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", Refusing)
    monkeypatch.setattr(psutil, "net_connections", listeners())
    assert host.port_state("127.0.0.1", 443) is PortState.DENIED


@pytest.mark.parametrize(
    ("ours", "theirs", "state"),
    [
        ("127.0.0.1", "127.0.0.1", PortState.TAKEN),
        ("127.0.0.1", "0.0.0.0", PortState.TAKEN),  # noqa: S104 - a row of a list
        ("127.0.0.1", "::", PortState.TAKEN),
        ("0.0.0.0", "192.0.2.7", PortState.TAKEN),  # noqa: S104 - tried, nothing listens
        ("127.0.0.1", "192.0.2.7", PortState.DENIED),
        ("::1", "fe80::1%eth0", PortState.DENIED),
    ],
)
def test_a_listener_is_seen_also_by_a_user_who_may_not_try_the_port(
    monkeypatch: pytest.MonkeyPatch, ours: str, theirs: str, state: PortState
) -> None:
    monkeypatch.setattr(socket, "socket", Refusing)
    monkeypatch.setattr(psutil, "net_connections", listeners((theirs, 443), ("127.0.0.1", 80)))
    assert host.port_state(ours, 443) is state


@pytest.mark.skipif(os.getuid() == 0, reason="root may listen on every port")
def test_a_real_low_port_is_denied_or_taken_and_never_free() -> None:
    assert host.first_open_port() > 1
    assert host.port_state("127.0.0.1", 1) is not PortState.FREE


@pytest.mark.parametrize(
    ("taken", "first"), [(443, 8443), (80, 8080), (22, 8022), (3000, 3100), (65436, 65336)]
)
def test_a_proposed_port_is_one_that_can_be_had(
    monkeypatch: pytest.MonkeyPatch, taken: int, first: int
) -> None:
    monkeypatch.setattr(host, "port_state", lambda *_: PortState.FREE)
    assert host.other_port("127.0.0.1", taken) == first
    monkeypatch.setattr(
        host, "port_state", lambda _, port: PortState.TAKEN if port == first else PortState.FREE
    )
    assert host.other_port("127.0.0.1", taken) != first


def test_a_directory_of_another_user_is_measured_at_its_mount_point(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        f"35 21 8:2 / {tmp_path}/with\\040space rw - ext4 /dev/sdb1 rw\n"
        "36 21 8:3 / /var/lib/docke rw - ext4 /dev/sdc1 rw\n"
    )
    (tmp_path / "with space").mkdir()
    statvfs = os.statvfs

    def guarded(path: Any) -> os.statvfs_result:
        if "private" in str(path):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return statvfs(path)

    monkeypatch.setattr(os, "statvfs", guarded)
    monkeypatch.setattr(host, "_MOUNTS", mounts)
    assert host.measurable(tmp_path / "with space" / "private" / "docker") == tmp_path / "with space"
    assert host.measurable(tmp_path / "private" / "docker") == Path("/")
    assert host.measurable(tmp_path / "not" / "there") == tmp_path


def test_the_fullest_disk_of_docker_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    free = {"/srv/docker": 50, "/srv/docker/volumes": 3, "/srv/docker/overlay2": 50, "/var/lib/containerd": 2}
    monkeypatch.setattr(host, "free_bytes", lambda path: free[str(path)])
    info = {"DockerRootDir": "/srv/docker"}
    assert daemon_from(info, "unix:///var/run/docker.sock").free_bytes() == 3
    images = {"DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]]}
    assert daemon_from({**info, **images}, "unix:///var/run/docker.sock").free_bytes() == 2


@pytest.mark.parametrize(
    ("endpoint", "more"),
    [
        ("ssh://athena.acme.example", {}),
        ("tcp://192.0.2.7:2376", {}),
        ("unix:///home/zeus/.docker/run/docker.sock", {"OperatingSystem": "Docker Desktop"}),
    ],
)
def test_a_disk_of_another_machine_is_not_measured_here(endpoint: str, more: dict[str, str]) -> None:
    assert daemon_from({"DockerRootDir": "/var/lib/docker", **more}, endpoint).free_bytes() is None


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("/home/zeus/stack", True),
        ("/home/zeus/.hidden/stack", False),
        ("/srv/stack", False),
        ("/home/zeus", True),
    ],
)
def test_which_files_the_docker_of_a_snap_sees(path: str, seen: bool) -> None:
    snap = daemon_from({"DockerRootDir": "/var/snap/docker/common/var-lib-docker"}, "unix:///run/docker.sock")
    assert snap.can_mount(Path(path)) is seen
    assert daemon_from({"DockerRootDir": "/var/lib/docker"}, "").can_mount(Path(path))
