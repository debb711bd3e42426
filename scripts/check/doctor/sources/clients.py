"""External stores: each is asked by its client, in a container that is there for the question alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scripts.check.doctor.facts import Facts, NotGathered, Surroundings
from scripts.core.errors import CommandTimedOut
from scripts.docker.client import Client
from scripts.docker.compose import CLIENTS

from .containers import Containers

NETWORK = "edge"
"""The network from which clients reach other machines, as web does."""
TIMEOUT_S = 12.0
_IMAGES_TIMEOUT_S = 6.0
_ASKED, _FAILED = "@asked", "@failed "
_REASON = 200
"""Characters of a reason: Valkey's may be a page."""


class DoesNotAnswer(NotGathered):
    """An external store was asked, and does not answer as it should; the text says what it does."""


@dataclass(frozen=True, slots=True)
class Clients:
    """What external stores can be asked with.

    Attributes:
        images: service -> its image.
        missing: images that are not on this host.
    """

    images: Mapping[str, str]
    missing: frozenset[str]


def gather_clients(surroundings: Surroundings, facts: Facts) -> Clients:
    """Return the clients. Raises NotGathered where no store is external, or none can be asked from here."""
    services = surroundings.context.compose(surroundings.settings) if surroundings.is_compose else None
    if services is None or not services.clients():
        raise NotGathered("no store is external")
    containers = facts.of(Containers)
    if containers.other_owner:
        raise NotGathered(f"the containers of this name belong to {containers.other_owner}")
    if NETWORK not in containers.internal:
        raise NotGathered("external stores are asked from the network of the stack: make up")
    model = services.model(services.with_clients(), pinned=True)["services"]
    images = {name: str(model[name]["image"]) for name in services.clients()}
    client = Client(surroundings.context.runner, timeout_s=_IMAGES_TIMEOUT_S)
    missing = {
        image
        for image in images.values()
        if client.run("image", "inspect", "--format", "{{.Id}}", image).returncode != 0
    }
    return Clients(images, frozenset(missing))


def is_external(surroundings: Surroundings, store: str) -> bool:
    """Return whether settings replace a bundled store, which is named by its profile."""
    return store in surroundings.context.compose(surroundings.settings).external()


def ask(
    surroundings: Surroundings, facts: Facts, store: str, script: str, *arguments: str, stdin: str
) -> str:
    """Return what a shell script prints that asks an external store.

    It says `@failed reason` and ends where the store does not answer. Secrets are in `stdin`: every user
    of the host sees arguments.

    Raises:
        DoesNotAnswer: it said so.
        NotGathered: it could not be run.
    """
    clients, service = facts.of(Clients), CLIENTS[store]
    image = clients.images[service]
    if image in clients.missing:
        # A pull may take minutes.
        raise NotGathered(f"the image {image}, which asks that store, is not on this host: make pull")
    services = surroundings.context.compose(surroundings.settings)
    argv = ["sh", "-c", f"echo {_ASKED}\n{script}", "sh", *arguments]
    try:
        done = services.ask_client(service, argv, stdin, TIMEOUT_S)
    except CommandTimedOut as error:
        raise NotGathered(f"{service} does not end within {TIMEOUT_S:.0f} s") from error
    lines = done.stdout.splitlines()
    if _ASKED not in lines:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise NotGathered(f"{service} does not start: {said[-1]}")
    reason = next((line.removeprefix(_FAILED) for line in lines if line.startswith(_FAILED)), "")
    if reason:
        raise DoesNotAnswer(reason[:_REASON])
    return "\n".join(line for line in lines if line != _ASKED)
