"""Which size of `config/sizes/` carries a plan on one host, if any does."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from scripts.settings.envfile import read_env

from .model import Plan

ORDER = ("ci", "small", "medium", "large")
_MEMORY = re.compile(r"(\d+)m")


def size_for(plan: Plan, directory: Path, external: Collection[str] = ()) -> str | None:
    """Return the smallest size whose limits are no less than what the plan wants of one host.

    Services in `external` run elsewhere. None: the plan wants two of something, or more than the largest
    size gives.
    """
    if plan.load.available:
        return None
    return next(
        (size for size in ORDER if _carries(read_env(directory / f"{size}.env").values(), plan, external)),
        None,
    )


def _carries(limits: dict[str, str], plan: Plan, external: Collection[str]) -> bool:
    for service in ("web", "worker", "clickhouse"):
        if service in external:
            continue
        need = plan.need(service)
        cores = float(limits[f"{service.upper()}_CPUS"])
        if cores < need.replicas * need.cores:
            return False
        # Web and worker grow with their cores; ClickHouse with its rows.
        if service == "clickhouse" and _gib(limits["CLICKHOUSE_MEMORY"]) < need.memory_gib:
            return False
    return True


def _gib(text: str) -> float:
    found = _MEMORY.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a size in MiB")
    return int(found[1]) / 1024
