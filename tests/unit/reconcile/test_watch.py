"""What the exporter replays by itself: what is lost, once, and never what may still be on its way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from scripts.data.reconcile.findings import Findings
from scripts.data.reconcile.watch import FIRST_LOOK, GRACE, LOTS, Watch, try_run
from scripts.stores.errors import StoreError
from scripts.stores.event_batches import SpanId

NOON = datetime(2026, 2, 1, 12, tzinfo=UTC)


@dataclass
class World:
    """A bucket, a ClickHouse and a worker: batches have one span each, named as they are.

    Attributes:
        came: when each batch came in.
        refused: what ClickHouse does not take, alone or not.
        sticky: whether a refused row holds up those beside it.
    """

    came: dict[str, datetime] = field(default_factory=dict)
    stored: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    sticky: bool = False
    away: bool = False
    replays: list[list[str]] = field(default_factory=list)
    looks: list[tuple[datetime, datetime]] = field(default_factory=list)

    def projects(self) -> list[str]:
        if self.away:
            raise StoreError("PostgreSQL does not answer.", fix="make status.")
        return ["kosmos"]

    def find(self, project: str, since: datetime | None, until: datetime) -> Findings:
        assert since is not None
        self.looks.append((since, until))
        return self.find_among(project, [key for key, at in self.came.items() if since <= at <= until])

    def find_among(self, project: str, keys: Iterable[str]) -> Findings:
        lost = [key for key in keys if key not in self.stored | self.deleted]
        spans = {key: [SpanId(key, "01")] for key in lost}
        return Findings(project, missing=dict.fromkeys(lost, 1), spans_missing=spans)

    def replay(self, findings: Findings, keys: Iterable[str] | None = None, lot: int | None = None) -> None:
        assert lot is not None
        wanted = sorted(findings.missing if keys is None else keys)
        for begin in range(0, len(wanted), lot):
            some = wanted[begin : begin + lot]
            self.replays.append(some)
            held = self.sticky and self.refused & set(some)
            for key in some:
                if key in self.refused or held:
                    findings.refused[key] = [SpanId(key, "01")]
                else:
                    self.stored.add(key)
            findings.replayed += len(some)


@dataclass
class Clock:
    now: datetime = NOON

    def __call__(self) -> float:
        return self.now.timestamp()

    def later(self, minutes: float) -> None:
        self.now += timedelta(minutes=minutes)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def canaries(clock: Clock) -> list[float | None]:
    """When the last canary was read back; tests put later ones at the end."""
    return [clock()]


@pytest.fixture
def watch(world: World, clock: Clock, canaries: list[float | None]) -> Watch:
    return Watch(world, lambda: canaries[-1], clock)


def test_what_an_outage_has_lost_is_replayed_once_canaries_are_read_again(
    world: World, clock: Clock, watch: Watch, canaries: list[float | None]
) -> None:
    world.came = {"a": NOON - timedelta(minutes=10), "b": NOON - timedelta(minutes=9)}
    world.stored = {"b"}
    watch.run()
    assert (world.replays, watch.missing()) == ([], 1), "it may be on its way"
    clock.later(3)
    watch.run()
    assert world.replays == [], "no canary has been read back since: the outage lasts"
    canaries.append(clock() - 5)
    clock.later(3)
    watch.run()
    assert world.replays == [["a"]]
    assert (watch.missing(), watch.replayed) == (0, 1)
    clock.later(3)
    watch.run()
    assert len(world.replays) == 1


def test_what_arrives_by_itself_is_not_replayed(
    world: World, clock: Clock, watch: Watch, canaries: list[float | None]
) -> None:
    """A worker that waited for ClickHouse writes what it holds: a replay would double it."""
    world.came = {"a": NOON - timedelta(minutes=5)}
    watch.run()
    world.stored = {"a"}
    clock.later(3)
    canaries.append(clock())
    watch.run()
    assert (world.replays, watch.suspects) == ([], {})


def test_a_trace_that_is_deleted_meanwhile_is_not_brought_back(
    world: World, clock: Clock, watch: Watch, canaries: list[float | None]
) -> None:
    world.came = {"a": NOON - timedelta(minutes=5)}
    watch.run()
    world.deleted = {"a"}
    clock.later(3)
    canaries.append(clock())
    watch.run()
    assert (world.replays, watch.suspects) == ([], {})


@pytest.mark.parametrize("sticky", [False, True])
def test_a_refused_span_is_set_aside_while_its_neighbours_come_back(
    world: World, clock: Clock, watch: Watch, canaries: list[float | None], *, sticky: bool
) -> None:
    names = [f"n{number:02}" for number in range(25)]
    world.came = dict.fromkeys([*names, "poison"], NOON - timedelta(minutes=5))
    world.refused, world.sticky = {"poison"}, sticky
    watch.run()
    clock.later(3)
    canaries.append(clock())
    watch.run()
    assert world.stored == set(names)
    assert [(key, one.spans) for key, one in watch.refused()] == [("poison", [SpanId("poison", "01")])]
    assert watch.missing() == 1
    replays = len(world.replays)
    clock.later(3)
    canaries.append(clock())
    watch.run()
    assert len(world.replays) == replays, "what is set aside is not replayed again"
    assert sum("poison" in lot for lot in world.replays) == len(LOTS)


def test_each_minute_is_looked_at_and_none_is_left_out(world: World, clock: Clock, watch: Watch) -> None:
    for _ in range(3):
        watch.run()
        clock.later(3)
    (first, end), (second, _), _ = world.looks
    assert first == NOON - FIRST_LOOK
    assert end == NOON - GRACE
    assert second == end - timedelta(minutes=1), "the last minute was half full"


def test_a_store_that_is_away_is_said_and_its_time_is_looked_at_later(
    world: World, clock: Clock, watch: Watch
) -> None:
    watch.run()
    world.away = True
    clock.later(30)
    assert try_run(watch) == "PostgreSQL does not answer."
    world.away = False
    clock.later(3)
    assert try_run(watch) == ""
    assert world.looks[-1][0] == world.looks[0][1] - timedelta(minutes=1)


def test_without_canaries_two_looks_have_to_do(world: World, clock: Clock) -> None:
    watch = Watch(world, lambda: None, clock)
    world.came = {"a": NOON - timedelta(minutes=5)}
    watch.run()
    assert world.replays == []
    clock.later(3)
    watch.run()
    assert world.replays == [["a"]]
