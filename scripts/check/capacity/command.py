"""`capacity`: what a load needs, as a table, a recommendation, JSON, and a plot of the disks over time."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path

from scripts.core.errors import EXIT_OK, UsageError
from scripts.engines.context import Context

from .model import Load, Plan, plan_for
from .plot import disk_plot
from .sizes import size_for

_SOME = 1e-6
_ROW = "{:<12} {:>8} {:>7} {:>8} {:>9}"


def run(context: Context, load: Load, *, into: Path | None, as_json: bool) -> int:
    """The verb. Exit code 0. Raises UsageError when the load makes no sense."""
    _check(load)
    plan = plan_for(load)
    size = size_for(plan, context.layout.root / "config" / "sizes")
    if as_json:
        context.console.print(json.dumps({**asdict(plan), "size": size}, indent=2))
    else:
        for line in lines_of(plan, size):
            context.console.print(line)
    if into is not None:
        into.parent.mkdir(parents=True, exist_ok=True)
        into.write_text(disk_plot(load), encoding="utf-8")
        if not as_json:
            context.console.print(f"Plot of the disks over time: {into}")
    return EXIT_OK


def lines_of(plan: Plan, size: str | None) -> list[str]:
    """Return what people read."""
    load = plan.load
    a_day = f"{load.spans_per_day:,.0f} a day, {load.payload_gib_per_day:,.1f} GiB"
    lines = [
        f"{load.spans_per_second:g} spans/s ({a_day}), peaks {load.peak:g} times that;",
        f"kept {load.retention_days} days.",
        "",
        f"One host carries it: STACK_SIZE={size}."
        if size
        else "More than one host: see docs/how-to/scale-out.md and `make kubernetes-render`.",
        "",
        "On a cluster, where services do not share cores and memory:" if size else "On a cluster:",
        _ROW.format("of each", "replicas", "cores", "GiB RAM", "GiB disk"),
    ]
    lines += [
        _row(need.service, str(need.replicas), need.cores, need.memory_gib, need.disk_gib)
        for need in plan.needs
    ]
    lines += [
        _row("together", "", plan.cores, plan.memory_gib, plan.disk_gib),
        f"Backups of {load.backup_days} days, on another host: {plan.backup_gib:,.0f} GiB.",
        "What this rests on, and how to measure your own: docs/reference/capacity.md.",
    ]
    return lines


def _row(name: str, replicas: str, cores: float, memory_gib: float, disk_gib: float) -> str:
    return _ROW.format(name, replicas, f"{cores:g}", f"{memory_gib:g}", f"{disk_gib:,.0f}")


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
