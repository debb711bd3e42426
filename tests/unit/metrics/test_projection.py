"""The projection follows `events.db`: ahead of queries when it rests, and over failures in the middle."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from langfuse_embedded.otlp.event import Event
from langfuse_embedded.pricing.book import Priced
from langfuse_embedded.store.bodies import BlockWriter, Body
from langfuse_embedded.store.events import EventsReader
from langfuse_embedded.store.observation_insert import insert_rows
from langfuse_embedded.store.observation_rows import row_of
from langfuse_embedded.store.projection import MetricsProjection, projection
from langfuse_embedded.store.writer.context import OBSERVATION, WriteContext
from tests.waiting import wait_for

DEADLINE = 20.0
COUNT = "select count(*), count(distinct id) from observations"


class Store:
    """A directory with events, and the projection of it."""

    def __init__(self, data_dir: Path) -> None:
        self.writer = WriteContext(data_dir)
        self.events = EventsReader(data_dir)
        self.projection = MetricsProjection(data_dir, self.events)

    def add(self, count: int, **values: Any) -> list[int]:
        """Store observations; return their numbers."""
        context = self.writer
        context.begin()
        first = context.take(count)
        context.db.execute(
            "insert into blocks values (?, ?)", (first, BlockWriter().pack([Body("", "", [("k", "v")], {})]))
        )
        project = context.project_key("kosmos")
        for seq in range(first, first + count):
            event = Event(f"{seq:032x}", f"{seq:016x}", None, "step", "SPAN", 0, 1, **values)
            place = {"seq": seq, "project": project, "created_at": 0, "block": first, "position": 0}
            insert_rows(context.db, [row_of(event, Priced(usage=event.usage), "", **place)])
        context.commit()
        return list(range(first, first + count))

    def forget(self, rows: list[int]) -> None:
        """Delete observations by their numbers."""
        self.writer.begin()
        self.writer.db.executemany("delete from observations where seq = ?", [(row,) for row in rows])
        self.writer.forget(OBSERVATION, rows)
        self.writer.commit()

    def count(self) -> tuple[int, int]:
        """Return the number of rows and of different ids in the projection."""
        [found] = self.projection.rows(COUNT, {})
        return found[0], found[1]

    def close(self) -> None:
        """Close everything."""
        self.projection.close()
        self.events.close()
        self.writer.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    opened = Store(tmp_path)
    yield opened
    opened.close()


def test_rows_are_copied_once_over_many_queries(store: Store) -> None:
    for expected in (3, 6, 9):
        store.add(3)
        assert store.count() == (expected, expected)


def test_rows_that_came_and_went_between_two_queries_are_never_seen(store: Store) -> None:
    kept = store.add(2)
    store.forget(store.add(2))
    assert store.count() == (2, 2)
    store.forget(kept[:1])
    assert store.count() == (1, 1)


def test_a_failure_in_the_middle_leaves_nothing_behind(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.add(5)
    copy = projection.copy_rows

    def fails_on_scores(*arguments: Any) -> None:
        copy(*arguments)
        if arguments[2].table == "scores":
            raise OSError("no space left on device")

    monkeypatch.setattr(projection, "copy_rows", fails_on_scores)
    with pytest.raises(OSError, match="no space left"):
        store.count()
    monkeypatch.undo()
    assert store.count() == (5, 5)


def test_closing_ends_a_long_copy_and_keeps_what_was_copied(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add(30)
    monkeypatch.setattr(projection, "_STRIDE", 10)
    copy = projection.copy_rows

    def closing_at_the_second_step(*arguments: Any) -> None:
        copy(*arguments)
        if arguments[3] == 10:
            store.projection._stopping.set()

    monkeypatch.setattr(projection, "copy_rows", closing_at_the_second_step)
    with pytest.raises(projection.ProjectionClosed):
        store.count()
    assert store.projection.watermark == 20
    store.projection.close()
    again = MetricsProjection(store.projection.path.parent, store.events)
    try:
        assert again.rows(COUNT, {}) == [(30, 30)]
    finally:
        again.close()


def test_texts_longer_than_a_line_usually_is_are_copied(store: Store) -> None:
    store.add(1, user_id="z" * (17 * 2**20))
    [(length,)] = store.projection.rows("select max(length(user_id)) from observations", {})
    assert length == 17 * 2**20


def test_metadata_is_copied_only_when_it_is_asked_for(store: Store) -> None:
    store.add(2)
    entries = "select count(*) from observation_metadata"
    assert store.projection.rows(entries, {}) == [(0,)]
    assert store.projection.rows(entries, {}, metadata=True) == [(2,)]
    store.add(1)
    assert store.projection.rows(entries, {}, metadata=True) == [(3,)]


def test_many_rows_are_copied_before_anybody_asks(store: Store, tmp_path: Path) -> None:
    store.add(3000)
    store.projection.start()
    wait_for(lambda: store.projection.watermark == 3000, "the copy in the background")
    assert store.count() == (3000, 3000)
    assert not list(tmp_path.glob("*.lines"))


def test_a_file_of_another_store_is_not_trusted(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    first = Store(tmp_path / "one")
    first.add(4)
    assert first.count() == (4, 4)
    first.close()
    with sqlite3.connect(tmp_path / "one" / "events.db") as events:
        events.execute("update sequence set last = 1")
        events.execute("delete from observations where seq > 1")
    events.close()
    second = Store(tmp_path / "one")
    assert second.count() == (1, 1)
    second.close()


def test_a_second_thread_comes_with_many_rows_and_goes_with_them(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projection, "_ONE_THREAD_UPTO", 10)
    threads = "select current_setting('threads'), (select count(*) from observations)"
    store.add(10)
    assert store.projection.rows(threads, {}) == [(1, 10)]
    store.add(1)
    assert store.projection.rows(threads, {}) == [(2, 11)]
    store.projection.close()
    monkeypatch.setattr(projection, "_ONE_THREAD_UPTO", 11)
    assert store.projection.rows(threads, {}) == [(1, 11)]
