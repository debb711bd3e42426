"""Fit the limits of a size to the engine: Docker refuses more CPUs than it has, and memory ends in kills."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scripts.core.runner import Runner

from .client import Client

_SUFFIX = "_CPUS"


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a Docker engine has; 0 is unknown."""

    cpus: int = 0
    memory_bytes: int = 0


def capacity_of_engine(runner: Runner) -> Capacity:
    """Return what the engine says of itself."""
    words = Client(runner).run("info", "--format", "{{.NCPU}} {{.MemTotal}}").stdout.split()
    numbers = [int(word) for word in words if word.isdigit()]
    return Capacity(*numbers) if len(numbers) == 2 else Capacity()


def wanted_memory(model: Mapping[str, Any]) -> int:
    """Return the sum of the memory limits in what `docker compose config` prints, in bytes."""
    total = 0
    for service in model["services"].values():
        deploy = service.get("deploy", {})
        limit = deploy.get("resources", {}).get("limits", {}).get("memory", 0)
        total += int(limit) * int(deploy.get("replicas", 1))
    return total


def fitting_cpus(size: Mapping[str, str], chosen: Mapping[str, str], cpus: int) -> dict[str, str]:
    """Return the CPU limits that must be lowered to what the engine has, by variable.

    Args:
        size: variables of the file of the size.
        chosen: what is set instead, in `.env` or the environment.
        cpus: of the engine; with 0 nothing is known and nothing lowered.
    """
    names = {name for name in (*size, *chosen) if name.endswith(_SUFFIX)}
    wanted = {name: float(chosen.get(name) or size.get(name) or 0) for name in sorted(names)}
    return {name: str(cpus) for name, limit in wanted.items() if 0 < cpus < limit}
