"""How fast metrics are: rows fed into the projection per second, and aggregates over HTTP.

    python -m benchmarks.metrics --rows 100000 --rows 1000000

Rows are seeded past the API, the engine runs as a process, one client asks one query after the other.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random

import httpx

from langfuse_embedded.otlp.event import Event
from langfuse_embedded.pricing.book import Priced
from langfuse_embedded.store.bodies import BlockWriter, Body
from langfuse_embedded.store.events import EventsReader
from langfuse_embedded.store.observation_insert import insert_rows
from langfuse_embedded.store.observation_rows import row_of
from langfuse_embedded.store.projection import MetricsProjection
from langfuse_embedded.store.score_rows import Score
from langfuse_embedded.store.writer.context import WriteContext
from langfuse_embedded.store.writer.scores import store_scores
from tests.embedded.harness import DEFAULT_KEYS, RunningEngine

_DAY_MS = 86_400_000
_CHUNK = 10_000
_START = 1_767_225_600_000  # 2026-01-01
_MODELS = ("athena-large", "athena-small", "hermes-1", "hermes-2", "zeus-vision")
_QUERIES = {
    "by model: avg latency, tokens, cost": {
        "dimensions": [{"field": "providedModelName"}],
        "metrics": [
            {"measure": "latency", "aggregation": "avg"},
            {"measure": "totalTokens", "aggregation": "sum"},
            {"measure": "totalCost", "aggregation": "sum"},
        ],
    },
    "p95 latency by trace name": {
        "dimensions": [{"field": "traceName"}],
        "metrics": [{"measure": "latency", "aggregation": "p95"}],
    },
    "cost by day and environment": {
        "dimensions": [{"field": "environment"}],
        "metrics": [{"measure": "totalCost", "aggregation": "sum"}],
        "timeDimension": {"granularity": "day"},
    },
    "unique users": {"metrics": [{"measure": "uniqueUserIds", "aggregation": "uniq"}]},
    "tokens by type": {"metrics": [{"measure": "usageByType", "aggregation": "sum"}]},
    "latency histogram": {"metrics": [{"measure": "latency", "aggregation": "histogram"}]},
    "ten dearest users": {
        "dimensions": [{"field": "userId"}],
        "metrics": [{"measure": "totalCost", "aggregation": "sum"}],
        "orderBy": [{"field": "sum_totalCost", "direction": "desc"}],
        "config": {"row_limit": 10},
    },
}


def seed(data_dir: Path, rows: int) -> None:
    """Write `rows` observations over 30 days: ten a trace, four of them generations, a tenth with scores."""
    context = WriteContext(data_dir)
    context.begin()
    project = context.project_key(DEFAULT_KEYS.project_id)
    block = context.take(rows)
    body = BlockWriter().pack([Body("question", "answer", [("tier", "gold")], {})])
    context.db.execute("insert into blocks (id, body) values (?, ?)", (block, body))
    place = {"project": project, "created_at": _START, "block": block, "position": 0}
    numbered = enumerate(_events(rows), start=block)
    while events := list(islice(numbered, _CHUNK)):
        insert_rows(
            context.db,
            [
                row_of(event, Priced(usage=event.usage, cost=event.cost), "", seq=seq, **place)
                for seq, event in events
            ],
        )
        scores = [_score(event) for seq, event in events if seq % 10 == 0]
        store_scores(context, {"project": DEFAULT_KEYS.project_id, "scores": scores}, b"")
    context.commit()
    context.close()


def _score(event: Event) -> Score:
    return Score(
        id=f"score-{event.span_id}",
        timestamp=event.start_time,
        name=f"score-{event.start_time % 3}",
        environment=event.environment,
        source="API",
        data_type="NUMERIC",
        value=event.start_time % 100 / 100,
        string_value=None,
        trace_id=event.trace_id,
        observation_id=event.span_id,
        session_id=None,
        experiment_id=None,
        comment=None,
        metadata={},
        config_id=None,
        author_user_id=None,
        queue_id=None,
    )


def _events(count: int) -> Iterator[Event]:
    random = Random(1)
    step = 30 * _DAY_MS / count
    for number in range(count):
        trace, place = divmod(number, 10)
        start = _START + int(number * step)
        event = Event(
            trace_id=f"{hash((1, trace)) % 2**64:016x}{trace:016x}",
            span_id=f"{number:016x}",
            parent_span_id=f"{trace * 10:016x}" if place else None,
            name=f"step-{place}",
            type="GENERATION" if place < 4 else "SPAN",
            start_time=start,
            end_time=start + random.randrange(5000),
            environment="staging" if trace % 4 else "production",
            user_id=f"user-{trace % 5000}",
            session_id=f"session-{trace // 5}",
            trace_name=f"trace-{trace % 20}",
            tags=["alpha"] if trace % 2 else [],
        )
        if place < 4:
            read, written = random.randrange(900), random.randrange(90)
            event.model_name = random.choice(_MODELS)
            event.usage = {"input": read, "output": written, "total": read + written}
            event.cost = {"input": read / 1e6, "output": written / 1e5, "total": read / 1e6 + written / 1e5}
        yield event


def feed(data_dir: Path) -> float:
    """Return the seconds that feeding an empty projection takes."""
    events = EventsReader(data_dir)
    projection = MetricsProjection(data_dir, events)
    start = time.perf_counter()
    projection.rows("select 1", {})
    seconds = time.perf_counter() - start
    projection.close()
    events.close()
    return seconds


def ask(
    client: httpx.Client, query: dict[str, object], times: int, *, may_be_empty: bool = False
) -> list[float]:
    """Return the milliseconds of `times` answers, the first one (cold) left out."""
    document = {
        "view": "observations",
        "fromTimestamp": "2026-01-01T00:00:00Z",
        "toTimestamp": "2026-02-01T00:00:00Z",
        **query,
    }
    taken = []
    for _ in range(times + 1):
        start = time.perf_counter()
        response = client.get("/api/public/v2/metrics", params={"query": json.dumps(document)})
        taken.append((time.perf_counter() - start) * 1000)
        response.raise_for_status()
        assert may_be_empty or response.json()["data"], "a query of the benchmark found nothing"
    return taken[1:]


def measure(rows: int, times: int) -> None:
    """Print one table for one size."""
    with tempfile.TemporaryDirectory(prefix="bench-metrics-") as folder:
        data_dir = Path(folder) / "data"
        data_dir.mkdir()
        seed(data_dir, rows)
        seconds = feed(data_dir)
        size = sum(path.stat().st_size for path in data_dir.glob("metrics.duckdb*")) / 2**20
        print(
            f"\n{rows:,} observations: fed in {seconds:.2f} s ({rows / seconds:,.0f} rows/s), {size:.1f} MB"
        )
        engine = RunningEngine(data_dir).start()
        try:
            for name, query in _QUERIES.items():
                taken = ask(engine.client, query, times)
                p95 = statistics.quantiles(taken, n=20)[-1]
                print(f"  {name:38} p50 {statistics.median(taken):7.1f} ms   p95 {p95:7.1f} ms")
        finally:
            engine.stop()


def main() -> None:
    """Measure each size that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, action="append", help="observations (default: 100000, 1000000)")
    parser.add_argument("--times", type=int, default=30, help="answers a query (default: %(default)s)")
    arguments = parser.parse_args()
    for rows in arguments.rows or (100_000, 1_000_000):
        measure(rows, arguments.times)


if __name__ == "__main__":
    main()
