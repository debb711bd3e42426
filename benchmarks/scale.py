"""From 1,000 to 1,000,000 spans/s, on paper: `python -m benchmarks.scale`.

Two tables. Arithmetic over the constants of `make capacity`: what each part of Langfuse has to take. A
simulation of queue and worker in steps of a second: what a peak leaves waiting, with fixed and autoscaled
replicas. docs/reference/scale.md holds both, and a test compares.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

from scripts.check.capacity.model import (
    BUSY,
    DAY_S,
    SHARD_GIB,
    SPANS_PER_CORE,
    WORKER_SHARE,
    Load,
    plan_for,
)
from scripts.config.kubernetes.autoscaling import JOBS_OF_A_WORKER, MOST

SPANS_PER_EXPORT = 50
"""Of the load of the benchmarks; a job of the queue is one export, and so is an object in the events bucket
(packages/shared/src/server/otel/OtelIngestionProcessor.ts of Langfuse 4.16.0)."""

JOB_BYTES = 2048
"""Assumed, of a waiting job in Valkey: its text has 700 bytes, and the queue keeps ids and times besides."""

VALKEY_BYTES = 1228 * 2**20
"""`VALKEY_MAXMEMORY_MB` of size medium."""

WRITES_PER_S = 4
ROWS_OF_AN_INSERT = 1000
"""A worker inserts four times a second (`LANGFUSE_INGESTION_CLICKHOUSE_WRITE_INTERVAL_MS=250`), or as soon as
it holds a thousand rows (`LANGFUSE_INGESTION_CLICKHOUSE_WRITE_BATCH_SIZE`)."""

CONNECTIONS = 50
"""Of a process to ClickHouse: `CLICKHOUSE_MAX_OPEN_CONNECTIONS` of size medium."""

SATURATED_PER_CORE = 800
"""Spans/s that one core carried when it was full: 1,596 readable on two cores, with stores and the load's
generator on them (Langfuse 4.16.0, batches of 50 spans)."""

RETENTION_DAYS = 30
RATES = (1_000, 10_000, 100_000, 1_000_000)
SEED = 7

# Of the simulation, seconds: quiet, peak, and when it gives up.
QUIET_S, PEAK_S, END_S = 120, 300, 7200
PEAK = 5.0
WORKER_SPANS_PER_S = 2 * SPANS_PER_CORE.value / WORKER_SHARE.value
"""Of a replica with two cores: the worker takes half of what a span costs."""

LOOK_S, START_S = 15, 30
"""How often an autoscaler decides (Kubernetes' default), and when a new worker takes jobs (assumed)."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a peak leaves: jobs in the deepest queue, longest wait (s), time until it is empty again (s)."""

    first: int
    most: int
    depth: int
    wait_s: int
    gone_s: int


Scaling = Callable[[int, float, int], int]
"""From replicas, their busy share and waiting jobs to the replicas that are wanted."""


def fixed(replicas: int, _busy: float, _waiting: int) -> int:
    """Keep the replicas."""
    return replicas


def by_processor(replicas: int, busy: float, _waiting: int) -> int:
    """Return what a HorizontalPodAutoscaler wants: replicas in proportion to how busy they are."""
    return math.ceil(replicas * busy / BUSY.value)


def by_queue(replicas: int, busy: float, waiting: int) -> int:
    """Return what KEDA wants: the greater of that and one replica for so many jobs."""
    return max(by_processor(replicas, busy, waiting), math.ceil(waiting / JOBS_OF_A_WORKER))


def simulate(rate: float, replicas: int, scaling: Scaling, most: int) -> Outcome:
    """Return what happens to the queue at `rate` spans/s with a peak of five times that, second by second.

    Jobs wait in order. An autoscaler only adds here: it takes away after ten minutes.
    """
    random = Random(SEED)
    waiting: list[tuple[int, float]] = []
    place, depth, wait, wanted = 0, 0, 0, replicas
    ready = [0.0] * replicas
    for second in range(END_S):
        peak = QUIET_S <= second < QUIET_S + PEAK_S
        mean = rate * (PEAK if peak else 1.0) / SPANS_PER_EXPORT
        # Exports of many clients come independently: a Poisson distribution, which is normal at such counts.
        waiting.append((second, max(0.0, random.gauss(mean, math.sqrt(mean)))))
        room = given = sum(1 for at in ready if at <= second) * WORKER_SPANS_PER_S / SPANS_PER_EXPORT
        while place < len(waiting) and room > 0:
            since, jobs = waiting[place]
            taken = min(jobs, room)
            room -= taken
            wait = max(wait, second - since)
            if taken < jobs:
                waiting[place] = (since, jobs - taken)
                break
            place += 1
        left = round(sum(jobs for _, jobs in waiting[place:]))
        depth = max(depth, left)
        if second % LOOK_S == 0:
            wanted = min(most, max(wanted, scaling(len(ready), 1 - room / given, left)))
            ready += [second + START_S] * (wanted - len(ready))
        if second > QUIET_S + PEAK_S and left == 0:
            return Outcome(replicas, len(ready), depth, wait, second - QUIET_S - PEAK_S)
    return Outcome(replicas, len(ready), depth, wait, END_S)


def arithmetic() -> Iterator[Sequence[str]]:
    """Yield a column for each rate."""
    yield (
        "",
        "exports/s: S3 PUTs, jobs of the queue",
        "payload, MB/s",
        "web and worker, two cores each (lower bound)",
        "cores when every one is full, stores included",
        "connections to ClickHouse, at most",
        "inserts/s into ClickHouse",
        "Valkey is full after the worker stops, minutes",
        "disk of ClickHouse for a day, GiB",
        "days that one shard holds",
        f"installations for {RETENTION_DAYS} days",
    )
    for rate in RATES:
        load = Load(float(rate), peak=1.0, retention_days=RETENTION_DAYS)
        plan = plan_for(load)
        exports = rate / SPANS_PER_EXPORT
        workers = plan.need("worker").replicas
        a_day = plan.need("clickhouse").disk_gib / RETENTION_DAYS
        yield (
            f"{rate:,} spans/s",
            f"{exports:,.0f}",
            f"{load.spans_per_day * load.payload_bytes / DAY_S / 1e6:,.0f}",
            f"{plan.need('web').replicas:,} + {workers:,}",
            f"{math.ceil(rate / SATURATED_PER_CORE):,}",
            f"{2 * workers * CONNECTIONS:,}",
            f"{max(workers * WRITES_PER_S, rate / ROWS_OF_AN_INSERT):,.0f}",
            f"{VALKEY_BYTES / JOB_BYTES / exports / 60:,.1f}",
            f"{a_day:,.0f}",
            f"{SHARD_GIB.value / a_day:,.1f}",
            f"{plan.shards:,}",
        )


def peaks(rate: float = 1_000) -> Iterator[Sequence[str]]:
    """Yield a row for each way to have enough workers."""
    for_peak = math.ceil(rate * PEAK / WORKER_SPANS_PER_S / BUSY.value)
    for_average = math.ceil(rate / WORKER_SPANS_PER_S / BUSY.value)
    most = for_average * MOST
    yield "workers", "at first", "at most", "jobs waiting", "longest wait, s", "gone after, s"
    for name, replicas, scaling, limit in (
        ("for the peak", for_peak, fixed, for_peak),
        ("for the average", for_average, fixed, for_average),
        ("autoscaled by processor", for_average, by_processor, most),
        ("autoscaled by queue, too", for_average, by_queue, most),
    ):
        one = simulate(rate, replicas, scaling, limit)
        yield (
            name,
            f"{one.first}",
            f"{one.most}",
            f"{one.depth:,}",
            f"{one.wait_s:,}",
            f"{one.gone_s:,}",
        )


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as Markdown."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def report() -> str:
    """Return both tables."""
    columns = list(arithmetic())
    return f"{table(list(zip(*columns, strict=True)))}\n\n{table(list(peaks()))}\n"


if __name__ == "__main__":
    print(report())
