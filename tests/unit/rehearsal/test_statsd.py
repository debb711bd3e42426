"""What the stand-in of statsd-exporter makes of the worker's datagrams, by the stack's own mappings."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from rehearsal.statsd.exporter import Mappings, Registry

FILE = Path(__file__).resolve().parents[3] / "config" / "prometheus" / "statsd.yaml"


@pytest.fixture
def now() -> list[float]:
    return [0.0]


@pytest.fixture
def registry(now: list[float]) -> Registry:
    return Registry(Mappings(yaml.safe_load(FILE.read_text("utf-8"))), clock=lambda: now[0])


def test_a_queue_depth_becomes_a_gauge_with_queue_and_tags(registry: Registry) -> None:
    registry.take("langfuse.queue.otel_ingestion.depth:7|g|#type:waiting,shard:one")
    registry.take("langfuse.queue.otel_ingestion.depth:9|g|#type:waiting,shard:one")
    assert registry.text() == (
        "# TYPE langfuse_worker_queue_depth gauge\n"
        'langfuse_worker_queue_depth{queue="otel_ingestion",shard="one",type="waiting"} 9\n'
    )


def test_dropped_rows_are_added_up(registry: Registry) -> None:
    for _ in range(3):
        registry.take("langfuse.queue.clickhouse_writer.rows_dropped:2|c|#entity_type:events_full")
    assert 'langfuse_clickhouse_writer_dropped_rows_total{entity_type="events_full"} 6\n' in registry.text()


def test_milliseconds_become_seconds(registry: Registry) -> None:
    registry.take("langfuse.queue.webhook.dlq_oldest_age:1500|g")
    assert 'langfuse_dead_letter_oldest_age_seconds{queue="webhook"} 1.5\n' in registry.text()


def test_a_gauge_that_is_not_renewed_vanishes_and_a_counter_stays(
    registry: Registry, now: list[float]
) -> None:
    registry.take("langfuse.queue.otel_ingestion.depth:7|g")
    registry.take("langfuse.queue.clickhouse_writer.error:1|c")
    now[0] = 121.0
    assert registry.text() == (
        "# TYPE langfuse_clickhouse_writer_errors_total counter\n"
        "langfuse_clickhouse_writer_errors_total{} 1\n"
    )


@pytest.mark.parametrize("line", ["runtime.node.mem:1|g", "nothing", "langfuse.queue.x.depth:|g", ""])
def test_what_is_not_wanted_or_not_readable_is_left_out(registry: Registry, line: str) -> None:
    registry.take(line)
    assert registry.text() == ""
