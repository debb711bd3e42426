"""Batches of the events bucket: ids in both forms, and what is left when traces are taken out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
import pytest

from scripts.stores.errors import StoreError
from scripts.stores.event_batches import (
    SpanId,
    objects_between,
    parse_batch,
    remove_traces,
    spans_of,
    without,
)
from scripts.stores.s3 import Bucket, Location

LOCATION = Location("http://127.0.0.1:9090", "us-east-1", "events", "key-of-test", "secret-of-test")


def span(trace: Any, one: Any) -> dict[str, Any]:
    return {"traceId": trace, "spanId": one, "name": "step"}


def batch(*spans: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"resource": {}, "scopeSpans": [{"scope": {}, "spans": list(spans)}]}]


class Store:
    """A bucket in memory."""

    def __init__(self, *keys: str, by_folder: bool = False) -> None:
        self.objects = dict.fromkeys(keys, b"")
        self.by_folder = by_folder

    def __call__(self, request: httpx.Request) -> httpx.Response:
        key = request.url.path.removeprefix("/events/")
        if request.method == "PUT":
            self.objects[key] = request.content
        elif request.method == "DELETE":
            del self.objects[key]
        else:
            after = request.url.params.get("start-after", "")
            prefix = request.url.params["prefix"]
            found = [one for one in sorted(self.objects) if one.startswith(prefix) and one > after]
            if self.by_folder:  # SeaweedFS: what is in a folder of that name is not after it
                found = [one for one in found if not one.startswith(f"{after}/")]
            time = "<LastModified>2026-01-02T03:04:05.000Z</LastModified>"
            rows = "".join(f"<Contents><Key>{one}</Key><Size>1</Size>{time}</Contents>" for one in found)
            return httpx.Response(200, text=f"<R>{rows}</R>")
        return httpx.Response(200)

    def open(self) -> Bucket:
        return Bucket(LOCATION, httpx.MockTransport(self))


def test_ids_are_the_same_in_both_forms() -> None:
    buffers = span({"type": "Buffer", "data": [0, 171]}, {"type": "Buffer", "data": [1, 2]})
    assert list(spans_of(batch(span("00AB", "0102"), buffers))) == [SpanId("00ab", "0102")] * 2


@pytest.mark.parametrize(
    "body", [b"{", b"3", b'[{"scopeSpans":[{"spans":[{"name":"x"}]}]}]', b'["text"]'], ids=str
)
def test_what_is_no_batch_is_named(body: bytes) -> None:
    with pytest.raises(StoreError, match=r"otel/kosmos/x\.json is not a batch"):
        parse_batch("otel/kosmos/x.json", body)


def test_scopes_and_resources_without_spans_go_too() -> None:
    mixed = [*batch(span("a1", "01")), *batch(span("b2", "02"), span("a1", "03"))]
    assert without(mixed, lambda found, _: found.trace == "a1") == batch(span("b2", "02"))


def test_an_object_is_rewritten_without_the_traces() -> None:
    store = Store("k")
    with store.open() as bucket:
        assert remove_traces(bucket, "k", batch(span("a1", "01"), span("b2", "02")), {"a1"}) == 1
    assert orjson.loads(store.objects["k"]) == batch(span("b2", "02"))


def test_an_object_of_these_traces_alone_is_deleted() -> None:
    store = Store("k")
    with store.open() as bucket:
        assert remove_traces(bucket, "k", batch(span("a1", "01"), span("a1", "02")), {"a1"}) == 2
    assert store.objects == {}


def test_an_object_without_them_is_left_alone() -> None:
    store = Store("k")
    with store.open() as bucket:
        assert remove_traces(bucket, "k", batch(span("b2", "02")), {"a1"}) == 0
    assert store.objects == {"k": b""}


@pytest.mark.parametrize("by_folder", [False, True], ids=["S3", "SeaweedFS"])
def test_a_window_holds_its_first_and_last_minute(*, by_folder: bool) -> None:
    minutes = ("2026/01/31/23/58", "2026/01/31/23/59", "2026/02/01/00/00", "2026/02/01/00/01")
    mine = [f"otel/kosmos/{minute}/a.json" for minute in minutes]
    store = Store(*mine, "otel/zeus/2026/02/01/00/00/b.json", by_folder=by_folder)
    since, until = datetime(2026, 1, 31, 23, 59, 30, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    with store.open() as bucket:
        keys = [found.key for found in objects_between(bucket, "kosmos", since, until)]
    assert keys == mine[1:3]
