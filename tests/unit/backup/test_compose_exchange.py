"""Stores that change places: in which order, and that a kill at any step can be undone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.data.backup.drivers import compose_exchange, objects
from scripts.data.backup.drivers.compose_exchange import ComposeExchange, Parts, journal_of
from scripts.data.backup.errors import BackupError
from scripts.data.backup.manifest import Contents
from scripts.stores.s3 import Bucket, Location

LOCATION = Location("http://127.0.0.1:9090", "us-east-1", "media", "key-of-test", "secret-of-test")


class Killed(BaseException):
    """Nothing more is done."""


class World:
    """All stores of a stack in memory. `kill_at` ends everything at that call."""

    def __init__(self) -> None:
        self.databases = {"langfuse": "old"}
        self.clickhouse = "old"
        self.backups: dict[str, str] = {}
        self.valkey = {0: "old", 1: ""}
        self.media = {"old.png": b"old"}
        self.calls: list[str] = []
        self.kill_at = -1

    def state(self) -> tuple[Any, ...]:
        """Return what applications see."""
        return (self.databases["langfuse"], self.clickhouse, self.valkey[0], dict(self.media))

    def call(self, name: str) -> None:
        """Note a call, or be killed before it does anything."""
        if len(self.calls) == self.kill_at:
            raise Killed
        self.calls.append(name)

    def bucket(self) -> Bucket:
        """Return the bucket of media."""
        return Bucket(LOCATION, httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        key = request.url.path.removeprefix("/media/")
        if request.method == "PUT":
            self.call(f"put {key}")
            self.media[key] = request.read()
        elif request.method == "DELETE":
            self.call(f"delete {key}")
            self.media.pop(key, None)
        elif key:
            return httpx.Response(200, stream=httpx.ByteStream(self.media[key]))
        else:
            time = "<LastModified>2026-01-02T03:04:05.000Z</LastModified>"
            rows = "".join(
                f"<Contents><Key>{one}</Key><Size>{len(self.media[one])}</Size>{time}</Contents>"
                for one in sorted(self.media)
            )
            return httpx.Response(200, text=f"<R>{rows}</R>")
        return httpx.Response(200)


class Postgres:
    def __init__(self, world: World) -> None:
        self.world = world

    def load(self, _: Path) -> None:
        self.world.call("postgres load")
        self.world.databases["restored"] = "new"

    def exchange(self) -> None:
        self.world.call("postgres exchange")
        databases = self.world.databases
        databases["before"], databases["langfuse"] = databases["langfuse"], databases.pop("restored")

    def exchange_back(self) -> None:
        databases = self.world.databases
        databases["langfuse"] = databases.pop("before", databases["langfuse"])
        databases.pop("restored", None)

    def forget_before(self) -> None:
        self.world.databases.pop("before", None)

    def counts(self) -> dict[str, dict[str, int]]:
        return {"prompts": {"kosmos": 3 if self.world.databases["langfuse"] == "new" else 9}}


class ClickHouse:
    def __init__(self, world: World) -> None:
        self.world = world

    def send(self, _: Path, name: str) -> None:
        self.world.call("clickhouse send")
        self.world.backups[name] = "new"

    def back_up(self, name: str) -> None:
        self.world.call("clickhouse back_up")
        self.world.backups[name] = self.world.clickhouse

    def restore(self, name: str) -> None:
        self.world.call(f"clickhouse restore {name}")
        self.world.clickhouse = "half"
        self.world.call(f"clickhouse restored {name}")
        self.world.clickhouse = self.world.backups[name]

    def has(self, name: str) -> bool:
        return name in self.world.backups

    def remove(self, name: str) -> None:
        self.world.backups.pop(name, None)

    def counts(self) -> dict[str, dict[str, int]]:
        return {"events_full": {"kosmos": 5 if self.world.clickhouse == "new" else 8}}


class Valkey:
    def __init__(self, world: World) -> None:
        self.world = world

    def set_aside(self) -> None:
        self.world.call("valkey set_aside")
        self.world.valkey = {0: "", 1: self.world.valkey[0]}

    def bring_back(self) -> None:
        if self.world.valkey[1]:
            self.world.valkey = {0: self.world.valkey[1], 1: ""}

    def forget(self) -> None:
        self.world.valkey[1] = ""


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(compose_exchange, "start_stores", lambda _: None)
    return World()


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """A capture with one medium."""
    source = World()
    source.media = {"new.png": b"new"}
    directory = tmp_path / "capture"
    directory.mkdir()
    with source.bucket() as bucket:
        objects.mirror(bucket, bucket.objects(), directory / "media")
    return directory


def exchange(world: World, work: Path, capture: Path | None, only: str = "") -> ComposeExchange:
    stores: Callable[[Any], Any] = lambda kind: kind(world)  # noqa: E731 - the fakes are no Postgres to mypy
    parts = Parts(
        services=stores(lambda _: None),
        postgres=stores(Postgres),
        clickhouse=stores(ClickHouse),
        valkey=stores(Valkey),
        media=world.bucket,
        events=world.bucket,
        only=frozenset(filter(None, [only])),
    )
    work.mkdir(exist_ok=True)
    rows = {"postgres.prompts": {"kosmos": 3}, "clickhouse.events_full": {"kosmos": 5}}
    return ComposeExchange(parts, work, capture, Contents({}, rows, ()))


NEW = ("new", "new", "", {"old.png": b"old", "new.png": b"new"})
OLD = World().state()
STEPS = 8


def test_new_stores_take_their_places_and_old_ones_go_at_the_end(
    world: World, tmp_path: Path, capture: Path
) -> None:
    made = exchange(world, tmp_path / "work", capture)
    made.begin()
    assert world.state() == NEW
    assert len(world.calls) == STEPS, "every step is killed once below"
    made.commit()
    assert world.state() == (*NEW[:3], {"new.png": b"new"})
    assert world.databases.keys() == {"langfuse"}
    assert (world.backups, world.valkey[1]) == ({}, "")
    assert not journal_of(made.work).path.exists()


@pytest.mark.parametrize("step", range(STEPS))
def test_a_kill_at_any_step_is_undone_by_the_next_process(
    world: World, tmp_path: Path, capture: Path, step: int
) -> None:
    world.kill_at = step
    try:
        exchange(world, tmp_path / "work", capture).begin()
    except Killed:
        world.kill_at = -1
    assert (tmp_path / "work" / "stores.json").exists()
    exchange(world, tmp_path / "work", None).undo()
    assert world.state() == OLD
    assert world.databases.keys() == {"langfuse"}
    assert (world.backups, world.valkey[1]) == ({}, "")
    exchange(world, tmp_path / "work", None).undo()
    assert world.state() == OLD
    again = exchange(world, tmp_path / "work", capture)
    again.begin()
    assert world.state() == NEW


def test_stores_that_differ_from_the_manifest_are_refused(
    world: World, tmp_path: Path, capture: Path
) -> None:
    made = exchange(world, tmp_path / "work", capture)
    object.__setattr__(made, "contents", Contents({}, {"clickhouse.events_full": {"kosmos": 6}}, ()))
    with pytest.raises(BackupError, match="not what was saved") as caught:
        made.begin()
    assert caught.value.details == (
        "clickhouse.events_full of kosmos: 5 rows, 6 in the backup",
        "postgres.prompts of kosmos: 3 rows, 0 in the backup",
    )


@pytest.mark.parametrize(
    ("only", "state"),
    [
        ("postgres", ("new", "old", "", {"old.png": b"old"})),
        ("clickhouse", ("old", "new", "", {"old.png": b"old"})),
        ("media", ("old", "old", "", {"old.png": b"old", "new.png": b"new"})),
    ],
)
def test_a_single_store_leaves_the_others_alone(
    world: World, tmp_path: Path, capture: Path, only: str, state: tuple[Any, ...]
) -> None:
    exchange(world, tmp_path / "work", capture, only).begin()
    assert world.state() == state
    exchange(world, tmp_path / "work", None).undo()
    assert world.state() == OLD
