"""Who holds the ports of this stack, and whether a proxy is before them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scripts.check.doctor.facts import Facts, NotGathered, Surroundings
from scripts.core import host
from scripts.settings.profiles import published_ports

from .containers import Containers
from .stack import Running


@dataclass(frozen=True, slots=True)
class Ports:
    """What was found.

    Attributes:
        taken: ports that someone else holds, a line each.
        proxy_for_localhost: the proxy that calls to this machine would go through, or empty.
    """

    taken: tuple[str, ...]
    proxy_for_localhost: str


def gather_ports(surroundings: Surroundings, facts: Facts) -> Ports:
    """Return who holds what."""
    settings = surroundings.settings
    wanted = (
        published_ports(settings.values)
        if surroundings.is_compose
        else [("LANGFUSE_PORT", settings["LANGFUSE_BIND_ADDRESS"])]
    )
    ours = _held_by_us(surroundings, facts)
    taken = [
        f"port {settings[name]} ({name}) is held by {host.port_holder(settings.integer(name))}"
        for name, address in wanted
        if settings.integer(name) not in ours
        and host.port_state(address, settings.integer(name)) is host.PortState.TAKEN
    ]
    return Ports(tuple(taken), _proxy(surroundings.context.environment))


def _held_by_us(surroundings: Surroundings, facts: Facts) -> set[int]:
    if surroundings.is_compose:
        try:
            containers = facts.of(Containers).by_name.values()
        except NotGathered:
            return set()
        return {port.port for one in containers for port in one.ports}
    running = facts.of(Running)
    return {int(running.url.rpartition(":")[2])} if running.url else set()


def _proxy(environment: Mapping[str, str]) -> str:
    """Return the proxy that SDKs would use for this machine, without its password; empty for none."""
    names = {name.lower(): value for name, value in environment.items()}
    spared = {name.strip() for name in names.get("no_proxy", "").split(",")}
    if not names.get("http_proxy") or spared & {"*", "localhost", "127.0.0.1"}:
        return ""
    return names["http_proxy"].rpartition("@")[2]
