"""A plan as people read it."""

from __future__ import annotations

from collections.abc import Collection

from .model import Plan

_ROW = "{:<12} {:>8} {:>7} {:>8} {:>9}"


def lines_of(plan: Plan, size: str | None, external: Collection[str] = ()) -> list[str]:
    """Return what people read; services in `external` run elsewhere."""
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
        *_about_external(plan, external),
        *_about_shards(plan),
        f"Backups of {load.backup_days} days, on another host: {plan.backup_gib:,.0f} GiB.",
        "What this rests on, and how to measure your own: docs/reference/capacity.md.",
    ]
    return lines


def _about_external(plan: Plan, external: Collection[str]) -> list[str]:
    if not external:
        return []
    here = [need for need in plan.needs if need.service not in external]
    cores, memory, disk = (
        sum(getattr(need, name) * need.replicas for need in here)
        for name in ("cores", "memory_gib", "disk_gib")
    )
    return [
        _row("here", "", cores, memory, disk),
        f"Run elsewhere, as .env says: {', '.join(external)}. What is above for them is",
        "what to ask of who runs them.",
    ]


def _about_shards(plan: Plan) -> list[str]:
    if plan.shards == 1:
        return []
    return [
        f"ClickHouse needs {plan.shards} shards, and Langfuse uses one. Divide the projects",
        f"among {plan.shards} installations, keep traces for fewer days, or send fewer of them.",
    ]


def _row(name: str, replicas: str, cores: float, memory_gib: float, disk_gib: float) -> str:
    return _ROW.format(name, replicas, f"{cores:g}", f"{memory_gib:g}", f"{disk_gib:,.0f}")
