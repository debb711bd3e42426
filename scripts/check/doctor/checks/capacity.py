"""Checks of what will run out next."""

from __future__ import annotations

import shutil
from pathlib import Path

from scripts.check.doctor.facts import Facts, NotGathered
from scripts.check.doctor.model import COMPOSE, EMBEDDED, Check, Repair, Verdict, ok, skipped, warning
from scripts.check.doctor.sources.backups import Backups, leftovers
from scripts.check.doctor.sources.clickhouse import ClickHouse
from scripts.check.doctor.sources.containers import Containers
from scripts.check.doctor.sources.embedded import EmbeddedData
from scripts.check.doctor.sources.history import DiskHistory
from scripts.check.doctor.sources.inside import Insides
from scripts.check.doctor.sources.machine import Machine
from scripts.engines.base import GIB, MIB
from scripts.engines.context import Context

from . import limits
from .answering import elsewhere


def _time_to_full(facts: Facts) -> Verdict:
    history, disk = facts.of(DiskHistory), facts.of(Machine).disk
    days = history.days_until(disk.total)
    if len(history.used) < 2:
        return skipped("no trend yet: it needs measurements over a day or more")
    if days is None:
        return ok("the disk does not fill up, as far as measured")
    text = f"at the current pace the disk is full in {days:.1f} days"
    return warning(text) if days < limits.FULL_WITHIN_DAYS else ok(text)


def _containers_memory(facts: Facts) -> Verdict:
    near = {
        name: one.memory_used / one.memory_limit
        for name, one in facts.of(Insides).by_name.items()
        if one.memory_limit and one.memory_used > limits.CONTAINER_MEMORY_SHARE * one.memory_limit
    }
    if near:
        return warning(
            ", ".join(f"{name} uses {share:.0%} of its memory limit" for name, share in near.items())
        )
    return ok("every container stays below 90 % of its memory limit")


def _heap(facts: Facts) -> Verdict:
    wrong = []
    low, high = limits.HEAP_SHARES
    for service in ("langfuse-web", "langfuse-worker"):
        container = facts.of(Containers).by_name.get(service)
        if container is None or not container.memory_limit:
            continue
        options = container.environment.get("NODE_OPTIONS", "")
        size = int(options.partition("--max-old-space-size=")[2].split(" ")[0] or 0) * MIB
        if not low <= size / container.memory_limit <= high:
            wrong.append(f"{service} may use {size // MIB} of {container.memory_limit // MIB} MiB")
    if wrong:
        return warning(f"Node.js's heap does not fit the limit: {'; '.join(wrong)}")
    return ok("Node.js's heap is half to 85 % of the limit of its container")


def _data(facts: Facts) -> Verdict:
    data = facts.of(EmbeddedData)
    free = facts.of(Machine).disk.free
    text = f"the data holds {data.bytes / GIB:.2f} GiB"
    # A backup, and a restore beside what is there, each need as much again.
    return (
        ok(text)
        if free > 2 * data.bytes
        else warning(f"{text}; only {free / GIB:.2f} GiB are free for a copy")
    )


def _tables(facts: Facts) -> Verdict:
    clickhouse = facts.of(ClickHouse)
    total = sum(int(one["bytes"]) for one in clickhouse.rows("tables"))
    free = sum(int(one["free"]) for one in clickhouse.rows("disks") if one["name"] == "default")
    text = f"ClickHouse holds {total / GIB:.2f} GiB"
    if not free:
        raise NotGathered("ClickHouse does not tell its free space")
    return (
        ok(text)
        if free > total
        else warning(f"{text}; only {free / GIB:.2f} GiB are free for merges and copies")
    )


def _left(facts: Facts) -> Verdict:
    left = facts.of(Backups).left
    if left:
        return warning(
            f"left behind by something that was killed: {', '.join(Path(one).name for one in left)}"
        )
    return ok("nothing was left behind by interrupted work")


def _remove_left(context: Context) -> None:
    for path in leftovers(context.layout.stack_dir):
        shutil.rmtree(path)


CHECKS = (
    Check(
        id="capacity.time_to_full",
        looks_at="At the current pace the disk is not full within 14 days.",
        fix="free some space or enlarge the disk; make retention shows which traces are too old",
        page="runbooks/DiskFullSoon.md",
        judge=_time_to_full,
    ),
    Check(
        id="capacity.containers_memory",
        looks_at="Every container uses less than 90 % of its memory limit, measured inside.",
        fix="give that service more memory (its *_MEMORY in .env, or the next STACK_SIZE), then make up",
        page="runbooks/ContainerOomKilled.md",
        judge=_containers_memory,
        engines=COMPOSE,
    ),
    Check(
        id="capacity.heap",
        looks_at="The heap of Node.js is 50 to 85 % of the memory limit of web and worker.",
        fix="set WEB_HEAP_MB and WORKER_HEAP_MB to 75 % of WEB_MEMORY and WORKER_MEMORY, then make up",
        page="reference/compose.md#sizes",
        judge=_heap,
        engines=COMPOSE,
    ),
    Check(
        id="capacity.data",
        looks_at="There is room for two more copies of the embedded engine's data: a backup and a restore.",
        fix="free some space, or move the data with STACK_DIR=/some/where/else",
        page="how-to/back-up-and-restore.md",
        judge=_data,
        engines=EMBEDDED,
    ),
    Check(
        id="capacity.tables",
        looks_at="ClickHouse's disk has as much room as its tables hold: merges and migrations copy.",
        fix="enlarge the disk of Docker's volumes, or shorten what is kept (make retention)",
        page="runbooks/DiskFullSoon.md",
        judge=elsewhere(
            ClickHouse,
            _tables,
            "have its operator enlarge the disk, or shorten what is kept (make retention)",
        ),
        engines=COMPOSE,
    ),
    Check(
        id="capacity.left",
        looks_at="No killed backup or verification left its files.",
        fix="rm -r .stack/verify-*",
        page="how-to/back-up-and-restore.md",
        judge=_left,
        repair=Repair(what="rm -r .stack/verify-*", apply=_remove_left),
    ),
)
