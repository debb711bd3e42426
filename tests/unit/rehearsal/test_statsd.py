"""What the stand-in of statsd-exporter makes of the worker's datagrams, by the stack's own mappings."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from rehearsal.statsd.exporter import BadMapping, Mappings, Registry

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


def test_dropped_rows_are_still_counted_after_ten_quiet_minutes(registry: Registry, now: list[float]) -> None:
    """A counter that vanishes begins anew: `increase()` would stay 0 and no alert would fire."""
    line = "langfuse.queue.clickhouse_writer.rows_dropped:2|c|#entity_type:events_full"
    registry.take(line)
    now[0] = 600.0
    registry.take(line)
    assert 'langfuse_clickhouse_writer_dropped_rows_total{entity_type="events_full"} 4\n' in registry.text()


def test_the_longest_wait_of_a_row_becomes_seconds(registry: Registry) -> None:
    registry.take("langfuse.queue.clickhouse_writer.wait_time.max:61500|g|#unit:milliseconds")
    assert 'langfuse_clickhouse_writer_wait_seconds{unit="milliseconds"} 61.5\n' in registry.text()


def test_a_ttl_of_zero_means_the_default_as_in_the_original() -> None:
    document = {"defaults": {"ttl": "2m"}, "mappings": [{"match": "a.b", "name": "a_b", "ttl": "0s"}]}
    now = [0.0]
    registry = Registry(Mappings(document), clock=lambda: now[0])
    registry.take("a.b:1|c")
    now[0] = 121.0
    assert registry.text() == ""
    registry.take("a.b:1|c")
    assert "a_b{} 1\n" in registry.text()


def test_globs_are_tried_before_regular_expressions() -> None:
    rules = [
        {"match": ".", "match_type": "regex", "name": "dropped", "action": "drop"},
        {"match": "a.*", "name": "a_$1"},
    ]
    registry = Registry(Mappings({"mappings": rules}))
    registry.take("a.b:1|g")
    assert "a_b{} 1\n" in registry.text()


def test_a_name_has_one_kind_and_a_counter_goes_up() -> None:
    registry = Registry(Mappings({"mappings": [{"match": "a", "name": "a"}]}))
    for line in ("a:2|c", "a:9|g", "a:-1|c"):
        registry.take(line)
    assert registry.text() == "# TYPE a counter\na{} 2\n"


@pytest.mark.parametrize(
    "document",
    [
        {"mappings": [], "timers": {}},
        {"mappings": [{"match": "a", "name": "a", "timer": 1}]},
        {"mappings": [{"match": "a", "name": "a-b"}]},
        {"mappings": [{"match": "a b", "name": "a"}]},
    ],
)
def test_a_file_that_the_original_refuses_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(BadMapping):
        Mappings(document)
