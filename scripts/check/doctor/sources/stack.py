"""What the checks have to know of the stack itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from scripts.check.doctor.facts import Facts, Surroundings
from scripts.engines.embedded import EmbeddedEngine
from scripts.settings.envfile import read_env
from scripts.settings.profiles import compose_profiles

from .containers import Containers


@dataclass(frozen=True, slots=True)
class Stack:
    """The stack as its settings describe it, and what the engine says of itself.

    Attributes:
        values: all settings that have a value; secrets are among them.
        further: what `.env.langfuse` gives the server besides.
        profiles: of Compose.
    """

    is_compose: bool
    size: str
    profiles: tuple[str, ...]
    values: Mapping[str, str] = field(repr=False)
    further: Mapping[str, str] = field(repr=False, default_factory=dict)

    @property
    def what(self) -> str:
        """What needs resources, in words."""
        return f"the size {self.size}" if self.is_compose else "the embedded engine"

    @property
    def reachable_from_outside(self) -> bool:
        """Whether other machines reach a port of this stack."""
        loopback = {"127.0.0.1", "::1"}
        addresses = [self.values["LANGFUSE_BIND_ADDRESS"]]
        if "tls" in self.profiles:
            addresses.append(self.values["TLS_BIND_ADDRESS"])
        return any(address not in loopback for address in addresses)


@dataclass(frozen=True, slots=True)
class Running:
    """Whether the engine runs, and where it listens.

    Attributes:
        url: empty when it does not run.
    """

    running: bool
    url: str


def gather_stack(surroundings: Surroundings, _facts: Facts) -> Stack:
    """Return what the settings say; never fails."""
    settings = surroundings.settings
    return Stack(
        surroundings.is_compose,
        settings["STACK_SIZE"],
        compose_profiles(settings.values) if surroundings.is_compose else (),
        settings.values,
        read_env(surroundings.context.layout.langfuse_file).values(),
    )


def gather_running(surroundings: Surroundings, facts: Facts) -> Running:
    """Return whether there is a process or container. Whether it answers is another question."""
    if isinstance(surroundings.engine, EmbeddedEngine):
        process = surroundings.engine.find()
        return Running(process is not None, process.url if process else "")
    web = facts.of(Containers).by_name.get("langfuse-web")
    running = web is not None and web.running
    return Running(running, surroundings.engine.local_url if running else "")
