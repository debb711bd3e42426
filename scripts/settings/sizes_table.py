"""Settings whose defaults are in `config/sizes/`: limits, memory, concurrency, grace periods."""

from __future__ import annotations

from collections.abc import Iterator

from .kinds import CPUS, DURATION, MEMORY, Kind, integer
from .model import Group, Setting

_BYTES = integer(2**20, 2**44)
_MEBIBYTES = integer(32, 2**24)
_COUNT = integer(1, 10_000)

_CONTAINERS = (
    ("WEB", "web"),
    ("WORKER", "the worker"),
    ("CLICKHOUSE", "ClickHouse"),
    ("POSTGRES", "PostgreSQL"),
    ("VALKEY", "Valkey"),
    ("S3", "SeaweedFS"),
    ("PROXY", "Caddy"),
    ("MONITORING", "Prometheus"),
)


def _limits() -> Iterator[Setting]:
    for prefix, shown in _CONTAINERS:
        yield Setting(name=f"{prefix}_MEMORY", description=f"Memory limit of {shown}.", kind=MEMORY)
        yield Setting(
            name=f"{prefix}_CPUS", description=f"CPU limit of {shown}; at most what the host has.", kind=CPUS
        )


def _sized(name: str, description: str, kind: Kind, unit: str = "") -> Setting:
    return Setting(name=name, description=description, kind=kind, unit=unit)


SIZES = Group(
    "Sizes (compose engine): the default is in config/sizes/<STACK_SIZE>.env",
    (
        *_limits(),
        _sized("WEB_HEAP_MB", "Heap of web; 75 % of its limit.", _MEBIBYTES, "MiB"),
        _sized("WORKER_HEAP_MB", "Heap of the worker; 75 % of its limit.", _MEBIBYTES, "MiB"),
        _sized(
            "CLICKHOUSE_MAX_MEMORY_BYTES",
            "What ClickHouse takes at most; 80 % of its limit.",
            _BYTES,
            "bytes",
        ),
        _sized(
            "CLICKHOUSE_MAX_QUERY_MEMORY_BYTES",
            "What one query takes at most; half of that.",
            _BYTES,
            "bytes",
        ),
        _sized(
            "CLICKHOUSE_MAX_BYTES_BEFORE_EXTERNAL_GROUP_BY",
            "From where on an aggregation uses the disk; half of that again.",
            _BYTES,
            "bytes",
        ),
        _sized("CLICKHOUSE_MARK_CACHE_BYTES", "Cache of ClickHouse's indexes.", _BYTES, "bytes"),
        _sized("VALKEY_MAXMEMORY_MB", "What Valkey stores at most; 80 % of its limit.", _MEBIBYTES, "MiB"),
        _sized("POSTGRES_SHARED_BUFFERS", "Cache of PostgreSQL; a quarter of its limit.", MEMORY),
        _sized(
            "LANGFUSE_OTEL_INGESTION_QUEUE_PROCESSING_CONCURRENCY",
            "Trace batches that the worker maps at once.",
            _COUNT,
        ),
        _sized(
            "LANGFUSE_INGESTION_QUEUE_PROCESSING_CONCURRENCY",
            "Score batches that the worker processes at once.",
            _COUNT,
        ),
        _sized("LANGFUSE_S3_CONCURRENT_WRITES", "Writes to the object store at once.", _COUNT),
        _sized("CLICKHOUSE_MAX_OPEN_CONNECTIONS", "Connections to ClickHouse of each process.", _COUNT),
        _sized(
            "LANGFUSE_INGESTION_QUEUE_DELAY_MS",
            "How long a score waits before it is written, so that changes of one id meet in one write. It is "
            "readable about 0.3 s after that.",
            integer(0, 600_000),
            "ms",
        ),
        _sized(
            "WEB_STOP_GRACE_PERIOD",
            "How long web may finish open requests when it is stopped; it takes 110 s if it may.",
            DURATION,
        ),
    ),
)
