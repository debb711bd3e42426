"""What the commands ask of an engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from scripts.core.layout import Layout
from scripts.docker.moved import read_moved

MIB = 2**20
GIB = 2**30


class EngineName(StrEnum):
    """The engines, as `ENGINE=` names them."""

    COMPOSE = "compose"
    EMBEDDED = "embedded"


@dataclass(frozen=True, slots=True)
class Part:
    """One service or process of an engine.

    Attributes:
        restarts: how often it was started again without being asked to.
        started: when it started last, or None.
        memory_limit_bytes: 0 without a limit.
        ports: on this machine, as `address:port->port inside`.
    """

    name: str
    state: str
    health: str = ""
    restarts: int = 0
    started: datetime | None = None
    memory_limit_bytes: int = 0
    ports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EngineState:
    """What an engine is doing.

    Attributes:
        running: whether it, or any part of it, runs.
        healthy: whether all parts run and it takes requests.
        url: where the API is on this machine; empty when it does not run.
        detail: a few words when it is not healthy.
        version: of the server, as it says itself.
        uptime_s: seconds since the start, or None.
        data: data directory or volumes.
        parts: its services or processes.
    """

    running: bool
    healthy: bool = False
    url: str = ""
    detail: str = ""
    version: str = ""
    uptime_s: float | None = None
    data: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Something that a start would fail on."""

    reason: str
    fix: str


def unfinished_restore(layout: Layout) -> list[Obstacle]:
    """Return what is in the way when a restore was killed: a start would serve half of its data."""
    if not layout.restore_journal.exists():
        return []
    return [
        Obstacle(
            "A restore was interrupted: what was there before it still waits to be put back.",
            "repeat it: make restore (it first puts back what was there)",
        )
    ]


def moved_away(layout: Layout) -> list[Obstacle]:
    """Return what is in the way of a start when this stack has moved: two would take spans and send mails."""
    moved = read_moved(layout)
    if moved is None:
        return []
    return [
        Obstacle(
            f"This stack is {moved.text()}.",
            f"{moved.command} UNDO=1, which gives this stack its place back",
        )
    ]


@dataclass(frozen=True, slots=True)
class WantedProject:
    """A project with its key and the owner of its organization, as an engine has to create them."""

    organization_id: str
    organization_name: str
    project_id: str
    project_name: str
    public_key: str
    secret_key: str = field(repr=False)
    user_email: str
    user_name: str
    user_password: str = field(repr=False)

    def init_variables(self) -> dict[str, str]:
        """Return the variables with which a server creates all this when it starts."""
        return {
            "LANGFUSE_INIT_ORG_ID": self.organization_id,
            "LANGFUSE_INIT_ORG_NAME": self.organization_name,
            "LANGFUSE_INIT_PROJECT_ID": self.project_id,
            "LANGFUSE_INIT_PROJECT_NAME": self.project_name,
            "LANGFUSE_INIT_PROJECT_PUBLIC_KEY": self.public_key,
            "LANGFUSE_INIT_PROJECT_SECRET_KEY": self.secret_key,
            "LANGFUSE_INIT_USER_EMAIL": self.user_email,
            "LANGFUSE_INIT_USER_NAME": self.user_name,
            "LANGFUSE_INIT_USER_PASSWORD": self.user_password,
        }


@dataclass(frozen=True, slots=True)
class WantedMember:
    """A login in an organization, as an engine has to create it."""

    organization_id: str
    organization_name: str
    email: str
    name: str
    role: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class KnownTenancy:
    """What an engine says of its projects and members.

    Attributes:
        projects: project id -> name and metadata; None where it cannot be asked for them.
        members: organization id and e-mail in lower case -> role.
        organizations: organization id -> name.
    """

    projects: Mapping[str, tuple[str, Mapping[str, object]]] | None
    members: Mapping[tuple[str, str], str]
    organizations: Mapping[str, str]


class Engine(Protocol):
    """One engine of one stack."""

    name: EngineName

    @property
    def local_url(self) -> str:
        """Where the API is, or will be, on this machine; no slash at the end."""

    def state(self) -> EngineState:
        """Return what it is doing now. Changes nothing."""

    def memory(self) -> Mapping[str, int]:
        """Return how many bytes each running part uses; may take seconds."""

    def obstacles(self) -> Sequence[Obstacle]:
        """Return what a start would fail on. Changes nothing; empty when it runs already as configured."""

    def start(self, init: Mapping[str, str]) -> bool:
        """Start it with the `LANGFUSE_INIT_*` variables and wait until it takes requests.

        Return whether it had to be started. On failure, and when interrupted, nothing stays half-running.

        Raises:
            EngineError: it did not come up; with its last log lines.
        """

    def stop(self) -> bool:
        """Stop it, keep its data; return whether it was running."""

    def provision(self, projects: Sequence[WantedProject]) -> None:
        """Create what is missing of the projects; what exists stays as it is.

        Raises:
            StackError: that failed.
        """

    def tenancy(self) -> KnownTenancy | None:
        """Return the projects and members there are, or None where the engine cannot be asked for either."""

    def revoke(self, public_keys: Sequence[str]) -> None:
        """Delete API keys; one that is gone already is not an error. Raises StackError."""

    def set_members(self, members: Sequence[WantedMember]) -> None:
        """Create logins and set their roles. Raises StackError where the engine cannot."""

    def set_organization(self, organization_id: str, name: str) -> None:
        """Give an organization its name. Raises StackError where the engine cannot."""

    def set_project(self, project_id: str, name: str, metadata: Mapping[str, object]) -> None:
        """Give a project its name and metadata. Raises StackError where the engine cannot."""

    def follow_logs(self, *, lines: int, follow: bool, service: str) -> int:
        """Show the log on the screen; return an exit code."""

    def data(self) -> Sequence[str]:
        """Return what `destroy` deletes."""

    def destroy(self) -> None:
        """Stop it and delete its data for good."""


Show = Callable[[Mapping[str, str]], None]


class Progress(Protocol):
    """How an engine shows that something takes a while."""

    def working(self, text: str) -> AbstractContextManager[None]:
        """Show `text` while the body runs."""

    def steps(self, text: str) -> AbstractContextManager[Show]:
        """Show `text`, and below it what the body reports: the state of each part, by name."""

    def note(self, text: str) -> None:
        """Say something in one line."""
