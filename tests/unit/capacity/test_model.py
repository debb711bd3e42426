"""The capacity model against values computed by hand."""

from __future__ import annotations

import pytest

from scripts.check.capacity.lines import lines_of
from scripts.check.capacity.model import FACTS, GIB, Load, Plan, objects_gib, plan_for, stored_gib

# 10 spans/s of 10 KiB: 864,000 spans and 8.24 GiB a day.
_LOAD = Load(10.0, peak=4.0, payload_bytes=10_240, retention_days=30, events_days=7, backup_days=10)


def test_a_day_of_spans() -> None:
    assert _LOAD.spans_per_day == 864_000
    assert _LOAD.payload_gib_per_day == pytest.approx(864_000 * 10_240 / GIB)


def test_cores_follow_the_peak_and_leave_half_of_the_machine() -> None:
    # 40 spans/s at 100 a core: 0.4 cores, 0.8 with half of them idle, 0.4 each for web and worker.
    plan = plan_for(_LOAD)
    assert [plan.need(service).replicas for service in ("web", "worker")] == [1, 1]
    # 1,000 spans/s: 20 cores, 10 each, 5 replicas of 2.
    busy = plan_for(Load(250.0, peak=4.0))
    assert [busy.need(service).replicas for service in ("web", "worker")] == [5, 5]


def test_clickhouse_keeps_a_quarter_and_has_room_for_merges() -> None:
    # 8.24 GiB x 0.25 x 30 days = 61.8 GiB, doubled 123.6, ordered as 130.
    assert stored_gib(_LOAD, 30) == pytest.approx(61.798, abs=0.001)
    assert plan_for(_LOAD).need("clickhouse").disk_gib == 130


@pytest.mark.parametrize(
    ("rows", "memory"), [(1e6, 4), (10e6, 4), (10.1e6, 12), (100e6, 12), (101e6, 24), (1.1e9, 48), (1e12, 48)]
)
def test_clickhouse_grows_with_its_rows(rows: float, memory: float) -> None:
    load = Load(rows / 86_400, retention_days=1)
    assert plan_for(load).need("clickhouse").memory_gib == memory


def test_objects_are_events_of_some_days_and_media_of_all() -> None:
    # 8.24 GiB x 7 days x 1.1 = 63.4; media 1 GiB x 30 days x 1.1 = 33.
    assert objects_gib(_LOAD, 1000) == pytest.approx(63.446, abs=0.001)
    with_media = Load(10.0, payload_bytes=10_240, media_gib_per_day=1, retention_days=30, events_days=7)
    assert objects_gib(with_media, 1000) == pytest.approx(96.446, abs=0.001)
    assert plan_for(with_media).need("s3").disk_gib == 100


def test_backups_hold_what_is_stored_and_each_day_since() -> None:
    # 61.8 GiB + 10 x (2.06 new + 1.24 changed) = 94.8, ordered as 100.
    assert plan_for(_LOAD).backup_gib == 100


def test_nothing_grows_beyond_the_retention() -> None:
    assert stored_gib(_LOAD, 30) == stored_gib(_LOAD, 300)
    assert objects_gib(_LOAD, 7) == objects_gib(_LOAD, 300)


def test_a_stack_that_survives_a_node_has_two_of_each_store() -> None:
    plan = plan_for(Load(1.0, available=True))
    assert {need.service: need.replicas for need in plan.needs} == {
        "web": 2,
        "worker": 2,
        "clickhouse": 2,
        "postgres": 2,
        "valkey": 2,
        "s3": 1,
    }


@pytest.mark.parametrize("change", ["spans_per_second", "peak", "payload_bytes", "retention_days"])
def test_more_never_needs_less(change: str) -> None:
    def totals(plan: Plan) -> tuple[float, ...]:
        return plan.cores, plan.memory_gib, plan.disk_gib, plan.backup_gib

    previous = (0.0,) * 4
    for factor in (1, 3, 10, 100):
        load = Load(**{"spans_per_second": 5.0, change: getattr(_LOAD, change) * factor})
        now = totals(plan_for(load))
        assert all(after >= before for before, after in zip(previous, now, strict=True))
        previous = now


def test_every_constant_has_a_source() -> None:
    assert all(fact.value > 0 and fact.meaning and fact.source for fact in FACTS)


@pytest.mark.parametrize(("spans_per_second", "shards"), [(10, 1), (1_000, 1), (3_000, 2), (20_000, 10)])
def test_a_disk_that_one_server_should_not_have_means_shards(spans_per_second: float, shards: int) -> None:
    # 3,000 spans/s of 4,000 bytes: 966 GiB a day, of which 30 days take 14,490 GiB with the room for merges.
    plan = plan_for(Load(spans_per_second=spans_per_second, retention_days=30))
    told = "\n".join(lines_of(plan, None))
    assert plan.shards == shards, plan.need("clickhouse").disk_gib
    assert (f"needs {shards} shards" in told) is (shards > 1)
    assert all(len(line) <= 80 for line in told.splitlines())
