"""What the Docker daemon says of itself: where it runs, where its data is, what it may do.

It acts in our place: it opens the ports, reads the mounted files and fills the disk, as another user and
maybe on another machine. So these facts come from it, not from this process.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.core import host
from scripts.core.errors import StackError
from scripts.core.runner import Runner

from .client import Client

TIMEOUT_S = 10.0
# Where the images are when containerd keeps them, the default of new installations from Docker 29 on
# (https://docs.docker.com/engine/storage/containerd/).
CONTAINERD_ROOT = "/var/lib/containerd"
# The confined Docker of a snap reaches files below /home only, and there no hidden directory of a user
# (https://github.com/canonical/docker-snap/issues/188 and 334).
SNAP_ROOT = "/var/snap/docker"
SNAP_READS = Path("/home")
_PUBLISHED = re.compile(r"(?P<address>\S+):(?P<first>\d+)(?:-(?P<last>\d+))?->")


@dataclass(frozen=True, slots=True)
class Daemon:
    """What `docker info` says.

    Attributes:
        id: its own, which no other daemon has; empty when unknown.
        root: where images, containers and volumes lie, on the daemon's machine.
        is_local: whether it opens ports on this machine, maybe from a virtual machine that forwards them.
        is_here: whether it runs on this machine itself, so that its disks can be measured.
        rootless: whether it runs as a user who is not root.
        uses_containerd: whether containerd keeps its images, outside of `root`.
        security: the security options in force, such as `selinux`.
    """

    id: str = ""
    root: str = ""
    is_local: bool = True
    is_here: bool = False
    rootless: bool = False
    uses_containerd: bool = False
    security: frozenset[str] = frozenset()

    @property
    def is_snap(self) -> bool:
        """Whether it is confined as a snap."""
        return self.root.startswith(f"{SNAP_ROOT}/")

    def disks(self) -> tuple[str, ...]:
        """Return the directories that it fills: each may be a file system by itself. Empty when not here."""
        if not self.is_here or not self.root.startswith("/"):
            return ()
        places = (self.root, f"{self.root}/volumes", f"{self.root}/overlay2")
        return (*places, CONTAINERD_ROOT) if self.uses_containerd else places

    def free_bytes(self) -> int | None:
        """Return the free space of the fullest of its disks; None where it cannot be measured from here."""
        found = []
        for place in self.disks():
            try:
                found.append(host.free_bytes(Path(place)))
            except OSError:
                continue
        return min(found, default=None)

    def can_mount(self, path: Path) -> bool:
        """Return whether it sees files at this path; a container's user may still be unable to read them."""
        if not self.is_snap:
            return True
        below = path.relative_to(SNAP_READS).parts if path.is_relative_to(SNAP_READS) else ()
        return bool(below) and not any(name.startswith(".") for name in below[1:2])


def read_daemon(runner: Runner, environment: Mapping[str, str] | None = None) -> Daemon:
    """Return what the daemon that `environment` names (DOCKER_HOST) says; all unknown without an answer."""
    client = Client(runner, environment, TIMEOUT_S)
    try:
        done = client.run("info", "--format", "json")
        info: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {}
        return daemon_from(info, client.endpoint())
    except (StackError, ValueError):
        return Daemon()


def daemon_from(info: Mapping[str, Any], endpoint: str) -> Daemon:
    """Return the facts in what `docker info` prints; `endpoint` is where the client reaches the daemon."""
    options = {str(option) for option in info.get("SecurityOptions") or ()}
    names = {name for option in options for name in _names(option)}
    driver = dict(pair for pair in info.get("DriverStatus") or () if len(pair) == 2)
    local = not endpoint or endpoint.startswith(("unix://", "npipe://"))
    desktop = info.get("OperatingSystem") == "Docker Desktop"
    return Daemon(
        id=str(info.get("ID") or ""),
        root=str(info.get("DockerRootDir") or ""),
        is_local=local,
        is_here=local and not desktop,
        rootless="rootless" in names,
        uses_containerd="containerd.snapshotter" in str(driver.get("driver-type", "")),
        security=frozenset(names),
    )


def _names(option: str) -> list[str]:
    """Return the names in a security option such as `name=seccomp,profile=builtin`."""
    return [word.removeprefix("name=") for word in option.split(",") if word.startswith("name=")]


def ports_of_containers(runner: Runner) -> dict[tuple[str, int], str]:
    """Return which container has published a port, by address and port, as Docker tells it.

    Without its proxy program Docker forwards in the packet filter, and no process listens.
    """
    done = Client(runner).run("ps", "--format", "{{.Names}}\t{{.Ports}}")
    found = {}
    for line in done.stdout.splitlines() if done.returncode == 0 else ():
        name, _, ports = line.partition("\t")
        for one in _PUBLISHED.finditer(ports):
            first, last = int(one["first"]), int(one["last"] or one["first"])
            for port in range(first, last + 1):
                found[one["address"].strip("[]"), port] = name
    return found


def container_at(published: Mapping[tuple[str, int], str], address: str, port: int) -> str:
    """Return which container has published the port so that it collides; empty for none."""
    everywhere = {"0.0.0.0", "::"}  # noqa: S104 - compared, not bound
    for (other, number), name in published.items():
        if number == port and (other == address or {other, address} & everywhere):
            return f"container {name}"
    return ""
