"""From a load to disks, memory, cores and replicas: pure arithmetic over `Load` and the constants below.

Every constant is a `Fact` with its source; docs/reference/capacity.md is generated from them. Langfuse
publishes no table of throughput or bytes per trace, so the rates are lower bounds that were seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

DAY_S = 86_400
GIB = 2**30


@dataclass(frozen=True, slots=True)
class Fact:
    """A constant of the model: its value, what it is in which unit, and where it comes from."""

    value: float
    meaning: str
    source: str


SPANS_PER_CORE = Fact(
    100.0,
    "spans/s that one core carries, web, worker and stores together",
    "seen: 200 spans/s, no backlog, on two cores that also ran the client (Langfuse 4.16); a lower bound",
)
BUSY = Fact(
    0.5,
    "share of the cores that the peak may use",
    "Langfuse's own advice: add workers above 50 % CPU",
)
WORKER_SHARE = Fact(
    0.5,
    "share of the cores that the worker takes",
    "parsing, prices and rows are its work; web checks a key, stores the body and queues a job",
)
STORED = Fact(
    0.25,
    "bytes in ClickHouse for each byte of payload",
    "assumed: columns of JSON text compress 5 to 10 times; short texts and the newest parts are there twice",
)
MERGES = Fact(
    2.0,
    "disk for each byte in ClickHouse",
    "merges, mutations and deletions write the new part before the old one goes",
)
PACKED = Fact(
    1.1,
    "bytes in the object store for each byte of an object",
    "SeaweedFS packs small objects in volumes; a store with one file an object needs up to 7 times as much",
)
BACKUP_CHANGE = Fact(
    0.02,
    "share of a backup that a day more of history adds, besides new data",
    "merged parts are new to the deduplication of restic",
)
SMALL_CLICKHOUSE_ROWS = Fact(
    10e6,
    "rows up to which ClickHouse gets 4 GiB; with each ten times as many 12, 24 and 48 GiB",
    "Langfuse asks for at least 8 GiB, and for 16 GiB in larger installations; the borders, and 4 GiB for a"
    " small one with aggregations that go to disk early, are our choice",
)
SHARD_GIB = Fact(
    10_000.0,
    "GiB of disk of one ClickHouse up to which one shard is enough",
    "our choice: a new replica copies that in three hours at 1 GB/s, and a merge has room",
)
POSTGRES_GIB = Fact(20.0, "GiB of disk for PostgreSQL", "users, prompts and datasets; traces are not in it")
VALKEY_GIB = Fact(
    1.5, "GiB of memory for Valkey", "Langfuse's documented minimum; it fills only with a backlog"
)

# Cores and GiB of ClickHouse for each step of its rows.
_CLICKHOUSE = ((2, 4.0), (6, 12.0), (12, 24.0), (16, 48.0))

FACTS: Sequence[Fact] = (
    SPANS_PER_CORE,
    BUSY,
    WORKER_SHARE,
    STORED,
    MERGES,
    PACKED,
    BACKUP_CHANGE,
    SMALL_CLICKHOUSE_ROWS,
    SHARD_GIB,
    POSTGRES_GIB,
    VALKEY_GIB,
)


@dataclass(frozen=True, slots=True)
class Load:
    """What applications send, and how long it is kept.

    Attributes:
        spans_per_second: the average of a working day.
        peak: the busiest minutes, as a multiple of the average.
        payload_bytes: of one span as it is sent, before compression: input, output, metadata.
        media_gib_per_day: images, audio and files.
        retention_days: how long spans are kept.
        events_days: how long the raw bodies stay in the events bucket (`S3_EVENTS_EXPIRE_DAYS`).
        backup_days: how many daily backups are kept.
        available: two web and worker containers, and ClickHouse twice: survives the loss of a node.
    """

    spans_per_second: float
    peak: float = 5.0
    payload_bytes: float = 4_000.0
    media_gib_per_day: float = 0.0
    retention_days: int = 90
    events_days: int = 30
    backup_days: int = 14
    available: bool = False

    @property
    def spans_per_day(self) -> float:
        """Spans of a day."""
        return self.spans_per_second * DAY_S

    @property
    def payload_gib_per_day(self) -> float:
        """Payload of a day."""
        return self.spans_per_day * self.payload_bytes / GIB


@dataclass(frozen=True, slots=True)
class Need:
    """What one service needs. `cores`, `memory_gib` and `disk_gib` are those of one replica."""

    service: str
    replicas: int
    cores: float
    memory_gib: float
    disk_gib: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What a load needs, service by service."""

    load: Load
    needs: tuple[Need, ...]
    backup_gib: float

    @property
    def cores(self) -> float:
        """Cores of all replicas."""
        return sum(need.replicas * need.cores for need in self.needs)

    @property
    def shards(self) -> int:
        """Into how many the rows of ClickHouse have to be divided; Langfuse itself knows one."""
        return math.ceil(self.need("clickhouse").disk_gib / SHARD_GIB.value)

    @property
    def memory_gib(self) -> float:
        """Memory of all replicas."""
        return sum(need.replicas * need.memory_gib for need in self.needs)

    @property
    def disk_gib(self) -> float:
        """Disk of all replicas, without backups, which belong on another host."""
        return sum(need.replicas * need.disk_gib for need in self.needs)

    def need(self, service: str) -> Need:
        """Return what a service needs."""
        return next(need for need in self.needs if need.service == service)


def plan_for(load: Load) -> Plan:
    """Return what a load needs."""
    copies = 2 if load.available else 1
    cores = load.spans_per_second * load.peak / SPANS_PER_CORE.value / BUSY.value
    worker_cores, web_cores = cores * WORKER_SHARE.value, cores * (1 - WORKER_SHARE.value)
    needs = (
        _nodes("web", web_cores, least=copies, memory_gib=4),
        _nodes("worker", worker_cores, least=copies, memory_gib=4),
        _clickhouse(load, copies),
        Need("postgres", copies, 2, 4, POSTGRES_GIB.value),
        Need("valkey", copies, 1, VALKEY_GIB.value, 2 * VALKEY_GIB.value),
        Need("s3", 1, 2, 4, _up(objects_gib(load, load.events_days + load.retention_days))),
    )
    return Plan(load, needs, _up(_backup_gib(load)))


def stored_gib(load: Load, days: float) -> float:
    """Return the size of the tables after so many days, without the room that merges need."""
    return load.payload_gib_per_day * STORED.value * min(days, load.retention_days)


def objects_gib(load: Load, days: float) -> float:
    """Return the size of events and media in the object store after so many days."""
    events = load.payload_gib_per_day * min(days, load.events_days)
    media = load.media_gib_per_day * min(days, load.retention_days)
    return (events + media) * PACKED.value


def _nodes(service: str, cores: float, *, least: int, memory_gib: float) -> Need:
    """Return replicas of 2 cores each: one Node process does not use many more."""
    return Need(service, max(least, math.ceil(cores / 2)), 2, memory_gib, 0)


def _clickhouse(load: Load, copies: int) -> Need:
    rows = max(1.0, load.spans_per_day * load.retention_days / SMALL_CLICKHOUSE_ROWS.value)
    step = min(len(_CLICKHOUSE) - 1, math.ceil(math.log10(rows)))
    cores, memory = _CLICKHOUSE[step]
    disk = stored_gib(load, load.retention_days) * MERGES.value
    return Need("clickhouse", copies, cores, memory, _up(disk))


def _backup_gib(load: Load) -> float:
    now = stored_gib(load, load.retention_days) + load.media_gib_per_day * load.retention_days
    a_day = load.payload_gib_per_day * STORED.value + load.media_gib_per_day
    return now + (a_day + now * BACKUP_CHANGE.value) * load.backup_days


def _up(gib: float) -> float:
    """Return a disk that one orders: whole tens of GiB."""
    return max(10.0, math.ceil(gib / 10) * 10.0)
