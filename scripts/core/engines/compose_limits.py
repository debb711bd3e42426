"""Fit the CPU limits of a size to the engine: Docker refuses limits above the CPUs that there are."""

from __future__ import annotations

from collections.abc import Mapping

from scripts.core.runner import Runner

_SUFFIX = "_CPUS"


def cpus_of_engine(runner: Runner) -> int:
    """Return how many CPUs the Docker engine has; 0 when it does not say."""
    answer = runner.run(["docker", "info", "--format", "{{.NCPU}}"]).stdout.strip()
    return int(answer) if answer.isdigit() else 0


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
