"""What `compose.yaml` amounts to with the settings and overrides."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scripts.check.doctor.facts import Facts, Surroundings
from scripts.docker import policy as compose_policy
from scripts.docker.daemon import read_daemon
from scripts.docker.mounts import Problem, mount_problems

from .containers import require_docker

TIMEOUT_S = 8.0


@dataclass(frozen=True, slots=True)
class ComposeModel:
    """The stack as Compose understands it.

    Attributes:
        problem: why Compose refuses it, or empty.
        services: what should run, by name.
        breaches: rules of the stack that it breaks, a line each.
        mounts: why containers cannot read what is mounted.
    """

    problem: str = ""
    services: Mapping[str, Any] = field(default_factory=dict, repr=False)
    breaches: tuple[str, ...] = ()
    mounts: tuple[Problem, ...] = ()


def gather_compose_model(surroundings: Surroundings, facts: Facts) -> ComposeModel:
    """Return what should run."""
    require_docker(facts)
    context, settings = surroundings.context, surroundings.settings
    done = context.compose(settings).run("config", "--format", "json", timeout_s=TIMEOUT_S)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        return ComposeModel(problem=lines[-1])
    config = json.loads(done.stdout)
    wanted = {settings["LANGFUSE_BIND_ADDRESS"], settings["TLS_BIND_ADDRESS"]}
    return ComposeModel(
        services=config["services"],
        breaches=tuple(str(breach) for breach in compose_policy.check(config, bind_addresses=wanted)),
        mounts=tuple(
            mount_problems(config, context.layout, read_daemon(context.runner, context.environment))
        ),
    )
