"""What Docker says: its engine, and the containers and networks of this stack."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from scripts.check.doctor.facts import Facts, NotGathered, Surroundings
from scripts.core.errors import CommandTimedOut, StackError
from scripts.docker.availability import find_engine
from scripts.docker.daemon import ENDPOINT, Daemon, daemon_from
from scripts.docker.identity import other_owner, remains_of
from scripts.docker.images_lock import content_of

from .machine import Disk, disk_at

TIMEOUT_S = 6.0
SERVICE = "com.docker.compose.service"
NUMBER = "com.docker.compose.container-number"
MASQUERADE = "com.docker.network.bridge.enable_ip_masquerade"
ONE_OFF = "com.docker.compose.oneoff"


@dataclass(frozen=True, slots=True)
class Docker:
    """The engine.

    Attributes:
        problem: why it cannot be used; the rest is empty then.
        fix: what to do about that.
        compose: version of Compose.
        limits: what it can limit containers in: `memory`, `cpus`, `processes`.
        disk: file system of images and volumes; None where it is not on this machine.
    """

    problem: str = ""
    fix: str = ""
    version: str = ""
    compose: str = ""
    cpus: int = 0
    memory: int = 0
    limits: frozenset[str] = frozenset()
    disk: Disk | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """A port of a container that can be reached on an address of this machine."""

    address: str
    port: int
    inside: int


@dataclass(frozen=True, slots=True)
class Container:
    """A container of this stack.

    Attributes:
        name: of its service, with a number from the second replica on.
        health: `healthy`, `unhealthy`, `starting`, or empty without a health check.
        last_probe: what the last health check said.
        memory_limit: in bytes, 0 for none; `cpu_limit` in CPUs, 0 for none.
        environment: its variables; secrets are among them.
    """

    id: str
    name: str
    service: str
    image: str
    image_id: str
    state: str
    exit_code: int
    health: str
    last_probe: str
    restarts: int
    out_of_memory: bool
    started: datetime | None
    memory_limit: int
    cpu_limit: float
    command: tuple[str, ...]
    ports: tuple[Published, ...]
    environment: Mapping[str, str] = field(repr=False)

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self.state == "running"

    @property
    def done(self) -> bool:
        """Whether it is a service that ends, and ended well."""
        return self.state == "exited" and self.exit_code == 0


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
    runner = surroundings.context.runner
    finding = find_engine(runner)
    if not finding.usable:
        return Docker(problem=finding.reason, fix=finding.fix)
    info = _json(surroundings, ["docker", "info", "--format", "json"])
    compose = runner.run(["docker", "compose", "version", "--short"], timeout_s=TIMEOUT_S).stdout.strip()
    endpoint = runner.run(list(ENDPOINT), timeout_s=TIMEOUT_S).stdout.strip()
    return docker_from(info, compose, endpoint)


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
    label = f"label=com.docker.compose.project={surroundings.settings['COMPOSE_PROJECT_NAME']}"
    runner = surroundings.context.runner
    listed = runner.run(["docker", "ps", "--all", "--quiet", "--filter", label], timeout_s=TIMEOUT_S)
    ids = listed.stdout.split()
    rows = _json(surroundings, ["docker", "inspect", *ids]) if ids else []
    images = sorted({row["Image"] for row in rows})
    found = _json(surroundings, ["docker", "image", "inspect", *images], tolerant=True) if images else []
    names = runner.run(["docker", "network", "ls", "--quiet", "--filter", label], timeout_s=TIMEOUT_S)
    networks = names.stdout.split()
    described = _json(surroundings, ["docker", "network", "inspect", *networks]) if networks else []
    containers = [container_from(row) for row in rows if row["Config"]["Labels"].get(ONE_OFF) != "True"]
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


def container_from(row: Mapping[str, Any]) -> Container:
    """Return the facts in what `docker inspect` prints of a container."""
    state, config, host = row["State"], row["Config"], row["HostConfig"]
    health = state.get("Health") or {}
    service = config["Labels"].get(SERVICE, row["Name"].lstrip("/"))
    number = config["Labels"].get(NUMBER, "1")
    probes = health.get("Log") or [{}]
    return Container(
        id=row["Id"],
        name=service if number == "1" else f"{service}-{number}",
        service=service,
        image=config["Image"],
        image_id=row["Image"],
        state=state["Status"],
        exit_code=state["ExitCode"],
        health=health.get("Status", ""),
        last_probe=str(probes[-1].get("Output", "")).strip(),
        restarts=row["RestartCount"],
        out_of_memory=bool(state.get("OOMKilled")),
        started=_time(state.get("StartedAt", "")),
        memory_limit=host.get("Memory") or 0,
        cpu_limit=(host.get("NanoCpus") or 0) / 1e9,
        command=tuple(config.get("Cmd") or ()),
        ports=tuple(_ports(row["NetworkSettings"].get("Ports") or {})),
        environment=dict(entry.partition("=")[::2] for entry in config.get("Env") or ()),
    )


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
    command = ["docker", "exec", "--interactive", container.id, *argv]
    try:
        done = surroundings.context.runner.run(command, stdin=stdin, timeout_s=TIMEOUT_S)
    except CommandTimedOut as error:
        raise NotGathered(f"{container.service} does not answer within {TIMEOUT_S:.0f} s") from error
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines() or [f"exit code {done.returncode}"]
        raise NotGathered(f"{container.service}: {lines[-1]}")
    return done.stdout


def _network(row: Mapping[str, Any]) -> str:
    return str(row["Labels"].get("com.docker.compose.network", row["Name"]))


def _json(surroundings: Surroundings, argv: Sequence[str], *, tolerant: bool = False) -> Any:
    done = surroundings.context.runner.run(argv, timeout_s=TIMEOUT_S)
    if done.returncode != 0 and not tolerant:
        raise StackError(f"`{' '.join(argv[:3])}` fails: {done.stderr.strip()}")
    return json.loads(done.stdout or "[]")


def _ports(ports: Mapping[str, Any]) -> Sequence[Published]:
    return [
        Published(binding["HostIp"], int(binding["HostPort"]), int(inside.partition("/")[0]))
        for inside, bindings in ports.items()
        for binding in bindings or ()
    ]


def _time(text: str) -> datetime | None:
    if not text or text.startswith("0001"):
        return None
    # Nanoseconds are more than fromisoformat takes.
    return datetime.fromisoformat(text[:19] + "+00:00")


def _fullest_disk(daemon: Daemon) -> Disk | None:
    """Return the file system that Docker fills first; None where none is on this machine."""
    found = []
    for place in daemon.disks():
        with suppress(OSError):
            found.append(disk_at(Path(place)))
    return min(found, key=lambda disk: disk.free, default=None)
