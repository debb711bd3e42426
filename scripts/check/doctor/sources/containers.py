"""What Docker says: its engine, and the containers and networks of this stack."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.check.doctor.facts import Facts, NotGathered, Surroundings
from scripts.core.errors import CommandTimedOut, StackError
from scripts.docker.availability import find_engine
from scripts.docker.client import Client
from scripts.docker.containers import PROJECT_LABEL, Container
from scripts.docker.daemon import Daemon, daemon_from
from scripts.docker.identity import other_owner, remains_of
from scripts.docker.images_lock import content_of

from .machine import Disk, disk_at

TIMEOUT_S = 6.0
MASQUERADE = "com.docker.network.bridge.enable_ip_masquerade"


@dataclass(frozen=True, slots=True)
class Docker:
    """The engine.

    Attributes:
        problem: why it cannot be used; the rest is empty then.
        fix: what to do about that.
        answers: whether the engine itself can be used, so that the problem is that of Compose.
        compose: version of Compose.
        limits: what it can limit containers in: `memory`, `cpus`, `processes`.
        disk: file system of images and volumes; None where it is not on this machine.
    """

    problem: str = ""
    fix: str = ""
    answers: bool = False
    version: str = ""
    compose: str = ""
    cpus: int = 0
    memory: int = 0
    limits: frozenset[str] = frozenset()
    disk: Disk | None = None


@dataclass(frozen=True, slots=True)
class Containers:
    """The containers of this stack and its networks.

    Attributes:
        by_name: the first replica of a service has the service's name.
        internal: network -> whether it has no way out.
        hidden: networks whose packets to other machines carry an address that no answer finds.
        digests: image id -> the digests that it was pulled by.
        other_owner: the checkout that they belong to, where it is not this one; empty otherwise.
        contents: image id -> its content, the same wherever it is loaded.
    """

    by_name: Mapping[str, Container]
    internal: Mapping[str, bool]
    digests: Mapping[str, tuple[str, ...]]
    hidden: frozenset[str] = frozenset()
    other_owner: str = ""
    contents: Mapping[str, str] = field(default_factory=dict)

    def running(self, service: str) -> Container:
        """Return a container that runs. Raises NotGathered."""
        container = self.by_name.get(service)
        if container is None:
            raise NotGathered(f"there is no container {service}")
        if not container.running:
            raise NotGathered(f"{service} does not run")
        return container


def gather_docker(surroundings: Surroundings, _facts: Facts) -> Docker:
    """Return what the engine can."""
    finding = find_engine(surroundings.context.runner)
    if not finding.usable:
        return Docker(problem=finding.reason, fix=finding.fix, answers=finding.answers)
    client = _client(surroundings)
    compose = client.run("compose", "version", "--short").stdout.strip()
    return docker_from(_json(client, "info", "--format", "json"), compose, client.endpoint())


def docker_from(info: Mapping[str, Any], compose: str, endpoint: str = "") -> Docker:
    """Return the facts in what `docker info` prints; `endpoint` is where the client reaches it."""
    limits = {"memory": "MemoryLimit", "cpus": "CpuCfsQuota", "processes": "PidsLimit"}
    return Docker(
        version=str(info.get("ServerVersion", "")),
        compose=compose,
        cpus=int(info.get("NCPU", 0)),
        memory=int(info.get("MemTotal", 0)),
        limits=frozenset(name for name, key in limits.items() if info.get(key)),
        disk=_fullest_disk(daemon_from(info, endpoint)),
    )


def gather_containers(surroundings: Surroundings, facts: Facts) -> Containers:
    """Return the containers and networks that carry the name of this stack."""
    require_docker(facts)
    client, project = _client(surroundings), surroundings.settings["COMPOSE_PROJECT_NAME"]
    containers = client.containers(project)
    images = sorted({one.image_id for one in containers})
    found = _json(client, "image", "inspect", *images, tolerant=True) if images else []
    label = f"label={PROJECT_LABEL}={project}"
    networks = client.run("network", "ls", "--quiet", "--filter", label).stdout.split()
    described = _json(client, "network", "inspect", *networks) if networks else []
    return Containers(
        by_name={container.name: container for container in containers},
        internal={_network(row): bool(row["Internal"]) for row in described},
        hidden=frozenset(
            _network(row) for row in described if (row.get("Options") or {}).get(MASQUERADE) == "false"
        ),
        digests={str(row["Id"]): tuple(row.get("RepoDigests") or ()) for row in found},
        other_owner=_other_owner(surroundings),
        contents={str(row["Id"]): content_of(row) for row in found},
    )


def _other_owner(surroundings: Surroundings) -> str:
    context, project = surroundings.context, surroundings.settings["COMPOSE_PROJECT_NAME"]
    owner = other_owner(context.layout, project, remains_of(context.runner, project, context.environment))
    return (owner.path or "an unknown checkout") if owner else ""


def require_docker(facts: Facts) -> None:
    """Raise NotGathered when no engine answers."""
    docker = facts.of(Docker)
    if docker.problem:
        raise NotGathered(docker.problem)


def run_inside(surroundings: Surroundings, container: Container, argv: Sequence[str], stdin: str = "") -> str:
    """Return what a program in a container prints.

    Raises:
        NotGathered: it failed, with the last line of its complaint; or it did not end in time.
    """
    try:
        done = _client(surroundings).run("exec", "--interactive", container.id, *argv, stdin=stdin)
    except CommandTimedOut as error:
        raise NotGathered(f"{container.service} does not answer within {TIMEOUT_S:.0f} s") from error
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines() or [f"exit code {done.returncode}"]
        raise NotGathered(f"{container.service}: {lines[-1]}")
    return done.stdout


def _network(row: Mapping[str, Any]) -> str:
    return str(row["Labels"].get("com.docker.compose.network", row["Name"]))


def _client(surroundings: Surroundings) -> Client:
    return Client(surroundings.context.runner, timeout_s=TIMEOUT_S)


def _json(client: Client, *arguments: str, tolerant: bool = False) -> Any:
    done = client.run(*arguments)
    if done.returncode != 0 and not tolerant:
        raise StackError(f"`docker {' '.join(arguments[:2])}` fails: {done.stderr.strip()}")
    return json.loads(done.stdout or "[]")


def _fullest_disk(daemon: Daemon) -> Disk | None:
    """Return the file system that Docker fills first; None where none is on this machine."""
    found = []
    for place in daemon.disks():
        with suppress(OSError):
            found.append(disk_at(Path(place)))
    return min(found, key=lambda disk: disk.free, default=None)
