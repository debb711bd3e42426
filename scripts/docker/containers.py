"""What the containers of a compose stack are doing, as Docker tells it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

# A container that ended so often with an error, and was started again, does not recover by waiting.
CRASH_LOOP_RESTARTS = 3
# What PostgreSQL's health check prints when the database was created with another password: waiting until the
# end of the start period would not change that.
WRONG_PASSWORD = "password authentication failed"  # noqa: S105 - a message
PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"
NUMBER_LABEL = "com.docker.compose.container-number"
ONEOFF_LABEL = "com.docker.compose.oneoff"


@dataclass(frozen=True, slots=True)
class Published:
    """A port of a container that can be reached on an address of its host."""

    address: str
    port: int
    inside: int

    def __str__(self) -> str:
        """As people read it."""
        return f"{self.address}:{self.port}->{self.inside}"


@dataclass(frozen=True, slots=True)
class Container:
    """One container.

    Attributes:
        state: `created`, `running`, `paused`, `restarting`, `exited` or `dead`.
        health: `starting`, `healthy`, `unhealthy`, or empty where nothing is checked.
        number: of the replica, from 1.
        exit_code: of the last time that it ended.
        restarts: how often Docker has started it again by itself.
        out_of_memory: whether it ended last because it met its memory limit.
        error: why Docker could not start it, or empty.
        started: when it started last, or None.
        memory_limit: bytes; 0 without a limit.
        cpu_limit: CPUs; 0 without a limit.
        last_probe: what its health check printed last.
        stays: whether Docker is told to keep it running, so that it is not a one-shot service.
        cut_off: whether it is on none of the networks it was started with: its own check cannot see that.
        image: as Compose named it.
        image_id: of its content.
        volumes: the volume in each directory, by its full name.
        environment: its variables; secrets are among them.
    """

    id: str
    service: str
    state: str
    health: str = ""
    number: int = 1
    exit_code: int = 0
    restarts: int = 0
    out_of_memory: bool = False
    error: str = ""
    started: datetime | None = None
    memory_limit: int = 0
    cpu_limit: float = 0.0
    ports: tuple[Published, ...] = ()
    last_probe: str = ""
    stays: bool = False
    cut_off: bool = False
    image: str = ""
    image_id: str = ""
    command: tuple[str, ...] = ()
    volumes: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """The service; with the number of a replica beyond the first."""
        return self.service if self.number == 1 else f"{self.service}-{self.number}"

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self.state == "running"

    @property
    def done(self) -> bool:
        """Whether it is a one-shot service that has ended well."""
        return self.state == "exited" and self.exit_code == 0 and not self.error and not self.stays

    @property
    def well(self) -> bool:
        """Whether it does what it should: it is healthy, or has ended well."""
        runs = self.running and self.health in {"", "healthy"} and not self.cut_off
        return self.done or runs

    @property
    def hopeless(self) -> bool:
        """Whether it will not get well by waiting."""
        crashed = self.state in {"exited", "dead"} and not self.done
        loops = self.restarts >= CRASH_LOOP_RESTARTS and self.exit_code != 0 and not self.well
        refused = self.health == "starting" and WRONG_PASSWORD in self.last_probe
        return crashed or loops or refused or self.health == "unhealthy" or bool(self.error)

    def described(self) -> str:
        """Return its state in a few words."""
        if self.done:
            return "done"
        words = self.health or self.state if self.running else self.state
        if self.state in {"exited", "restarting", "dead"}:
            words += f" with code {self.exit_code}"
        if self.out_of_memory:
            words += ", out of memory"
        if self.cut_off and self.running:
            words += ", cut off the network"
        if self.restarts and not self.well:
            words += f", restarted {_times(self.restarts)}"
        return words


def container_of(row: Mapping[str, Any]) -> Container:
    """Return what `docker inspect` says of a container."""
    state, config, host = row["State"], row["Config"], row["HostConfig"]
    health = state.get("Health") or {}
    probes = health.get("Log") or []
    return Container(
        id=row["Id"],
        service=config["Labels"].get(SERVICE_LABEL) or row["Name"].lstrip("/"),
        state=state["Status"],
        health=(health.get("Status") or "").replace("none", ""),
        number=int(config["Labels"].get(NUMBER_LABEL) or 1),
        exit_code=int(state.get("ExitCode") or 0),
        restarts=int(row.get("RestartCount") or 0),
        out_of_memory=bool(state.get("OOMKilled")),
        error=state.get("Error") or "",
        started=_moment(state.get("StartedAt") or ""),
        memory_limit=int(host.get("Memory") or 0),
        cpu_limit=(host.get("NanoCpus") or 0) / 1e9,
        ports=tuple(_ports(row.get("NetworkSettings", {}).get("Ports") or {})),
        last_probe=(probes[-1].get("Output") or "").strip() if probes else "",
        stays=(host.get("RestartPolicy") or {}).get("Name") in {"always", "unless-stopped"},
        cut_off=_is_cut_off(row),
        image=config.get("Image") or "",
        image_id=row.get("Image") or "",
        command=tuple(config.get("Cmd") or ()),
        volumes={
            mount["Destination"]: mount["Name"]
            for mount in row.get("Mounts") or ()
            if mount.get("Type") == "volume" and mount.get("Name")
        },
        environment=dict(entry.partition("=")[::2] for entry in config.get("Env") or ()),
    )


_UNITS = {
    "B": 1,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}


def parse_bytes(text: str) -> int | None:
    """Return the bytes of a size as Docker prints it, such as `1.5GiB`, or None."""
    number = text.strip().rstrip("TGMKkiB")
    unit = text.strip()[len(number) :]
    try:
        return round(float(number) * _UNITS[unit])
    except (ValueError, KeyError):
        return None


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _is_cut_off(row: Mapping[str, Any]) -> bool:
    mode = row["HostConfig"].get("NetworkMode") or ""
    borrowed = mode.partition(":")[0] in {"", "container", "host", "none"}
    return not borrowed and not row.get("NetworkSettings", {}).get("Networks")


def _moment(text: str) -> datetime | None:
    """Docker writes nine digits after the second, and the year 1 for never."""
    if not text or text.startswith("0001"):
        return None
    return datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)


def _ports(bindings: Mapping[str, Sequence[Mapping[str, str]] | None]) -> list[Published]:
    return [
        Published(binding["HostIp"], int(binding["HostPort"]), int(inside.partition("/")[0]))
        for inside, published in sorted(bindings.items())
        for binding in published or ()
    ]
