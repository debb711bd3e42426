"""`capacity`: what a load needs, as a table, a recommendation, JSON, and a plot of the disks over time."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path

from scripts.core.errors import EXIT_OK, UsageError
from scripts.engines.context import Context
from scripts.settings.profiles import REPLACED_BY, compose_profiles

from .lines import lines_of
from .model import Load, plan_for
from .plot import disk_plot
from .sizes import size_for

_SOME = 1e-6


def capacity(context: Context, load: Load, *, into: Path | None, as_json: bool) -> int:
    """The command. Exit code 0. Raises UsageError when the load makes no sense."""
    _check(load)
    plan = plan_for(load)
    external = _external(context)
    size = size_for(plan, context.layout.root / "config" / "sizes", external)
    if as_json:
        context.console.print(json.dumps({**asdict(plan), "size": size, "external": external}, indent=2))
    else:
        for line in lines_of(plan, size, external):
            context.console.print(line)
    if into is not None:
        into.parent.mkdir(parents=True, exist_ok=True)
        into.write_text(disk_plot(load), encoding="utf-8")
        if not as_json:
            context.console.print(f"Plot of the disks over time: {into}")
    return EXIT_OK


def _external(context: Context) -> list[str]:
    """Return the stores that `.env` names by address, under their names in a plan."""
    profiles = compose_profiles(context.lenient_settings().values)
    return [store for store in REPLACED_BY if store not in profiles]


def _check(load: Load) -> None:
    rules: dict[str, tuple[float, float, str]] = {
        "--spans-per-s": (load.spans_per_second, _SOME, "greater than 0"),
        "--peak": (load.peak, 1, "at least 1"),
        "--payload-bytes": (load.payload_bytes, _SOME, "greater than 0"),
        "--retention-days": (load.retention_days, 1, "at least 1"),
        "--media-gib": (load.media_gib_per_day, 0, "0 or more"),
        "--events-days": (load.events_days, 0, "0 or more"),
        "--backup-days": (load.backup_days, 0, "0 or more"),
    }
    for option, (value, least, rule) in rules.items():
        if not (math.isfinite(value) and value >= least):
            raise UsageError(f"{option} must be {rule}.", fix="give the load as applications send it.")
