"""What `compose.yaml` with the settings and overrides amounts to, and whether the containers run with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scripts.core import compose_policy
from scripts.core.engines.compose import compose_command, compose_environment
from scripts.doctor.facts import Facts, NotGathered, Surroundings

from .containers import Containers, require_docker

TIMEOUT_S = 8.0


@dataclass(frozen=True, slots=True)
class ComposeModel:
    """The stack as Compose understands it.

    Attributes:
        problem: why Compose refuses it, or empty.
        services: what should run, by name.
        breaches: rules of the stack that it breaks, a line each.
        hashes: service -> what Compose would label its container with.
    """

    problem: str = ""
    services: Mapping[str, Any] = field(default_factory=dict, repr=False)
    breaches: tuple[str, ...] = ()
    hashes: Mapping[str, str] = field(default_factory=dict)


def gather(surroundings: Surroundings, facts: Facts) -> ComposeModel:
    """Return what should run."""
    require_docker(facts)
    context, settings = surroundings.context, surroundings.settings
    command = compose_command(context.layout, settings)
    # `make up` hands what it creates to web in its environment: with other values the hash would differ.
    environment = {**compose_environment(context.environment, settings), **_initial(facts)}
    done = context.runner.run([*command, "config", "--format", "json"], env=environment, timeout_s=TIMEOUT_S)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        return ComposeModel(problem=lines[-1])
    config = json.loads(done.stdout)
    wanted = {settings["LANGFUSE_BIND_ADDRESS"], settings["TLS_BIND_ADDRESS"]}
    hashes = context.runner.run([*command, "config", "--hash", "*"], env=environment, timeout_s=TIMEOUT_S)
    return ComposeModel(
        services=config["services"],
        breaches=tuple(str(breach) for breach in compose_policy.check(config, bind_addresses=wanted)),
        hashes=dict(line.split() for line in hashes.stdout.splitlines() if len(line.split()) == 2),
    )


def _initial(facts: Facts) -> dict[str, str]:
    try:
        web = facts.of(Containers).by_service.get("langfuse-web")
    except NotGathered:
        return {}
    values = web.environment if web else {}
    return {name: value for name, value in values.items() if name.startswith("LANGFUSE_INIT_")}
