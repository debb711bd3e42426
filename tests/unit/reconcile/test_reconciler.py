"""What is replayed, what is not, and when a replay is not believed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import orjson
import pytest

from scripts.core.errors import UsageError
from scripts.data.reconcile import command, compose
from scripts.data.reconcile.compose import Reconciler
from scripts.stores.errors import StoreError
from scripts.stores.event_batches import SpanId, spans_of
from scripts.stores.s3 import Bucket
from tests.unit.scripts.fakes import settings_with
from tests.unit.stores.test_event_batches import LOCATION, batch, span

SINCE, UNTIL = datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 2, 2, tzinfo=UTC)
FOLDER = "otel/kosmos/2026/02/01/10/00"


@dataclass
class World:
    """Stores and a server that does what it is told."""

    objects: dict[str, bytes] = field(default_factory=dict)
    rows: list[SpanId] = field(default_factory=list)
    deleted: set[str] = field(default_factory=set)
    merged: set[SpanId] = field(default_factory=set)
    replays: list[list[str]] = field(default_factory=list)
    queues_nothing: bool = False
    writes_nothing: bool = False
    refused: set[SpanId] = field(default_factory=set)
    waiting: dict[str, int] = field(default_factory=dict)

    # As ClickHouse and PostgreSQL:
    def stored(self, _: str, spans: Collection[SpanId]) -> set[SpanId]:
        return set(self.rows) & set(spans)

    def merge(self, _: str, spans: Collection[SpanId]) -> None:
        self.merged |= set(spans)

    def deleted_traces(self, _: str, traces: Collection[str]) -> set[str]:
        return self.deleted & set(traces)

    def projects(self) -> set[str]:
        return {"kosmos"}

    # As the object store:
    def bucket(self, *_: object) -> Bucket:
        return Bucket(LOCATION, httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        key = request.url.path.removeprefix("/events/")
        if request.method == "PUT":
            self.objects[key] = request.content
        elif not key and "delimiter" in request.url.params:
            folders = {"/".join(one.split("/")[:2]) + "/" for one in self.objects}
            found = "".join(
                f"<CommonPrefixes><Prefix>{one}</Prefix></CommonPrefixes>" for one in sorted(folders)
            )
            return httpx.Response(200, text=f"<R>{found}</R>")
        elif not key:
            after, prefix = request.url.params.get("start-after", ""), request.url.params["prefix"]
            time = "<LastModified>2026-02-01T10:00:00.000Z</LastModified>"
            found = "".join(
                f"<Contents><Key>{one}</Key><Size>1</Size>{time}</Contents>"
                for one in sorted(self.objects)
                if one.startswith(prefix) and one > after
            )
            return httpx.Response(200, text=f"<R>{found}</R>")
        elif key in self.objects:
            return httpx.Response(200, content=self.objects[key])
        else:
            return httpx.Response(404)
        return httpx.Response(200)

    # As the server:
    def api(self, *_: Any, **__: Any) -> AbstractContextManager[World]:
        return nullcontext(self)

    def post(self, path: str, body: Mapping[str, list[str]]) -> Any:
        assert path == "/api/admin/ingestion-replay"
        keys = body["keys"]
        self.replays.append(keys)
        if not self.writes_nothing:
            sent = [one for key in keys for one in spans_of(orjson.loads(self.objects[key]))]
            self.rows += [one for one in sent if one not in self.refused]
        return {"queued": 0 if self.queues_nothing else len(keys), "skipped": 0, "errors": []}

    def keep(self, name: str, *ids: tuple[str, str]) -> str:
        """Keep a batch of spans in the bucket; return its key."""
        key = f"{FOLDER}/{name}.json"
        self.objects[key] = orjson.dumps(batch(*(span(trace, one) for trace, one in ids)))
        return key


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(compose, "open_bucket", made.bucket)
    monkeypatch.setattr(compose, "Api", made.api)
    monkeypatch.setattr(compose, "depths", lambda *_: made.waiting)
    return made


def reconciler(world: World, sleep: Callable[[float], None] = lambda _: None) -> Reconciler:
    stores: Any = world
    return Reconciler(settings_with(), stores, stores, "http://127.0.0.1:3000", sleep=sleep)


def test_only_batches_with_missing_spans_are_replayed(world: World) -> None:
    world.keep("whole", ("a1", "01"), ("a1", "02"))
    lost = world.keep("lost", ("b2", "03"), ("b2", "04"))
    world.rows = [SpanId("a1", "01"), SpanId("a1", "02")]
    one = reconciler(world)
    findings = one.find("kosmos", SINCE, UNTIL)
    assert (findings.batches, findings.spans, findings.missing) == (2, 4, {lost: 2})
    one.replay(findings)
    assert world.replays == [[lost]]
    assert findings.replayed == 1
    assert world.merged == set(), "nothing was stored twice"
    assert reconciler(world).find("kosmos", SINCE, UNTIL).missing == {}


def test_second_copies_of_what_was_stored_are_merged_away(world: World) -> None:
    world.keep("half", ("a1", "01"), ("a1", "02"))
    world.rows = [SpanId("a1", "01")]
    one = reconciler(world)
    one.replay(one.find("kosmos", SINCE, UNTIL))
    assert world.merged == {SpanId("a1", "02")}


def test_a_deleted_trace_is_neither_missing_nor_replayed(world: World) -> None:
    world.keep("deleted", ("a1", "01"))
    world.deleted = {"a1"}
    one = reconciler(world)
    findings = one.find("kosmos", SINCE, UNTIL)
    assert (findings.missing, findings.deleted) == ({}, 1)
    one.replay(findings)
    assert world.replays == []


def test_a_batch_is_replayed_without_the_deleted_trace_in_it(world: World) -> None:
    key = world.keep("mixed", ("a1", "01"), ("b2", "02"))
    world.deleted = {"a1"}
    one = reconciler(world)
    one.replay(one.find("kosmos", SINCE, UNTIL))
    assert world.rows == [SpanId("b2", "02")]
    assert orjson.loads(world.objects[key]) == batch(span("b2", "02"))


def test_an_answer_of_200_that_queued_nothing_is_a_failure(world: World) -> None:
    world.keep("lost", ("a1", "01"))
    world.queues_nothing = True
    one = reconciler(world)
    with pytest.raises(StoreError, match="queued 0 of 1") as caught:
        one.replay(one.find("kosmos", SINCE, UNTIL))
    assert "LANGFUSE_S3_EVENT_UPLOAD_PREFIX" in caught.value.fix


def test_a_worker_that_stores_nothing_is_a_failure(world: World) -> None:
    world.keep("lost", ("a1", "01"))
    world.keep("lost too", ("a1", "02"))
    world.writes_nothing = True
    one = reconciler(world)
    one.patience_s = 0.0
    world.waiting = {"otel-ingestion-queue": 2}
    with pytest.raises(StoreError, match=r"None of 2 replayed spans of kosmos is stored .* 2 jobs wait"):
        one.replay(one.find("kosmos", SINCE, UNTIL))


def test_batches_that_a_worker_has_taken_and_that_are_not_stored_are_refused(world: World) -> None:
    """All of them: nothing else arrives that shows that the worker works."""
    keys = [world.keep("poison", ("a1", "01")), world.keep("poison too", ("a1", "02"))]
    world.refused = {SpanId("a1", "01"), SpanId("a1", "02")}
    one = reconciler(world)
    one.patience_s = 0.0
    findings = one.find("kosmos", SINCE, UNTIL)
    one.replay(findings)
    assert set(findings.refused) == set(keys)


def test_a_span_that_is_not_stored_is_named_and_the_others_are_brought_back(world: World) -> None:
    poison = world.keep("poison", ("a1", "01"), ("a1", "02"))
    world.keep("lost", ("b2", "03"))
    world.refused = {SpanId("a1", "01")}
    one = reconciler(world)
    one.patience_s = 0.0
    findings = one.find("kosmos", SINCE, UNTIL)
    one.replay(findings)
    assert set(world.rows) == {SpanId("a1", "02"), SpanId("b2", "03")}
    assert findings.refused == {poison: [SpanId("a1", "01")]}
    assert findings.left
    assert "1 spans refused" in findings.text()


def test_a_span_is_shown_as_it_was_sent(world: World) -> None:
    key = world.keep("one", ("a1", "01"), ("b2", "02"))
    found = reconciler(world).show("02", SINCE, UNTIL)
    assert (found["project"], found["batch"]) == ("kosmos", key)
    assert found["resourceSpans"] == batch(span("b2", "02"))
    assert reconciler(world).show("a1", SINCE, UNTIL)["resourceSpans"] == batch(span("a1", "01"))
    assert reconciler(world).show("ff", SINCE, UNTIL) == {}


def test_the_rate_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        world.keep(f"lost-{number}", ("a1", f"0{number}"))
    monkeypatch.setattr(compose, "KEYS_A_REPLAY", 2)
    slept: list[float] = []
    one = reconciler(world, slept.append)
    one.keys_per_second = 2
    one.replay(one.find("kosmos", SINCE, UNTIL))
    assert [len(keys) for keys in world.replays] == [2, 2, 1]
    assert [round(seconds, 1) for seconds in slept] == [1.0, 1.0, 0.5]


def test_what_is_no_batch_is_told_and_does_not_stop_the_others(world: World) -> None:
    world.objects[f"{FOLDER}/broken.json"] = b"{"
    lost = world.keep("lost", ("a1", "01"))
    findings = reconciler(world).find("kosmos", SINCE, UNTIL)
    assert findings.unreadable == [f"{FOLDER}/broken.json"]
    assert findings.missing == {lost: 1}
    assert findings.text() == "1 spans in 1 batches, 1 missing, 1 batches unreadable"


def test_a_batch_that_expires_while_it_is_read_is_left_out(world: World) -> None:
    lost = world.keep("lost", ("a1", "01"))
    findings = reconciler(world).find_among("kosmos", [lost, f"{FOLDER}/expired.json"])
    assert findings.missing == {lost: 1}


def test_projects_that_were_deleted_are_not_looked_at(world: World) -> None:
    world.keep("kept", ("a1", "01"))
    world.objects["otel/gone/2026/02/01/10/00/x.json"] = b"[]"
    assert reconciler(world).projects() == ["kosmos"]


@pytest.mark.parametrize(
    ("text", "ago"),
    [("90m", timedelta(minutes=90)), ("24h", timedelta(days=1)), ("7d", timedelta(days=7))],
)
def test_times_are_said_as_ages(text: str, ago: timedelta) -> None:
    assert command.moment(text, UNTIL) == UNTIL - ago


def test_times_are_said_as_moments_in_utc_unless_told_otherwise() -> None:
    assert command.moment("2026-02-01", UNTIL) == SINCE
    assert command.moment("2026-02-01T01:00:00+01:00", UNTIL) == SINCE


def test_what_is_no_time_is_refused() -> None:
    with pytest.raises(UsageError, match="soon is not a time"):
        command.moment("soon", UNTIL)
