"""The page that explains the calculation, generated from its constants."""

from __future__ import annotations

from .lines import lines_of
from .model import FACTS, Load, plan_for

_EXAMPLE = Load(2.0, retention_days=30)
_HEAD = """# Capacity: from spans per second to machines

<!-- Generated from scripts/check/capacity: run `make docs`. -->

`make capacity` computes what a load needs. Langfuse publishes no table of throughput or of bytes per trace,
so this rests on few figures; each has its source below, and is worth replacing by your own.

```sh
make capacity SPANS_PER_S=2 RETENTION_DAYS=30
make capacity SPANS_PER_S=50 INTO=disks.svg ARGS="--peak 3 --payload-bytes 12000 --available"
```

The first of these answers:

"""
_FORMULAS = """
## The calculation

    cores        = spans/s x peak / (spans/s of a core) / (share that the peak may use)
    replicas     = cores of web or worker / 2, rounded up (one Node process does not use many more than 2)
    ClickHouse   = spans/day x payload x (stored share) x retention days x (room for merges)
    object store = (spans/day x payload x event days + media x retention days) x (packing)
    backups      = what is stored + (a day of new data + change) x backup days

`--available` doubles web, worker, PostgreSQL, Valkey and ClickHouse (one shard, two replicas): the loss of
one node is survived. One host carries a plan when a size of `config/sizes/` has the cores and ClickHouse's
memory.

**Shards.** Langfuse writes to one shard of ClickHouse: its tables on a cluster are replicated, none is
distributed (`packages/shared/clickhouse/migrations/clustered` of Langfuse 4.16.0), and the chart sets
`shards: 1`. A second shard would be rows that no query finds. When the disk of a replica passes the limit
below, divide the projects among installations, keep traces for fewer days, or send fewer of them.

## Constants

| value | what it is | where it comes from |
|---|---|---|
"""
_MEASURE = """
## Measure your own

- **Payload of a span**: the average size of an object in the events bucket, divided by the spans in it; or
  look at what one export of your application weighs.
- **Stored share**: in ClickHouse, the sum of `bytes_on_disk` of the active rows of `system.parts`, divided by
  the payload that was sent for the rows in them.
- **Peak**: the greatest rate of ingestion on the dashboard *Stack health*, divided by the average of a day.
- **Spans a core carries**: raise the load until the queue of `make status` grows and stays; halve it.

What the embedded engine does is another matter: [performance.md](performance.md).
"""


def capacity_page() -> str:
    """Return docs/reference/capacity.md."""
    example = "".join(f"    {line}".rstrip() + "\n" for line in lines_of(plan_for(_EXAMPLE), "small"))
    constants = "".join(f"| {fact.value:,g} | {fact.meaning} | {fact.source} |\n" for fact in FACTS)
    return f"{_HEAD}{example}{_FORMULAS}{constants}{_MEASURE}"
