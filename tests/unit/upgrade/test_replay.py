"""Scores that were acknowledged and are not stored come back after a rollback, and nothing else."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scripts.core.s3 import StoredObject
from scripts.reconcile.findings import Findings
from scripts.stores.errors import StoreError
from scripts.upgrade import replay

SINCE = datetime(2026, 11, 21, 7, tzinfo=UTC)
UNTIL = SINCE + timedelta(hours=1)


class Bucket:
    """Holds objects of scores."""

    def __init__(self, *objects: tuple[str, datetime]) -> None:
        self._objects = objects

    def objects(self, prefix: str) -> Iterator[StoredObject]:
        """Yield those below a prefix."""
        for key, modified in self._objects:
            if key.startswith(prefix):
                yield StoredObject(key, 10, modified)


class Reconciler:
    """Stores what is queued, unless told not to; is its own PostgreSQL and ClickHouse."""

    def __init__(self, stored: set[str], *, arrives: bool = True) -> None:
        self.postgres = self.clickhouse = self
        self.stored = stored
        self.queued: list[str] = []
        self._arrives = arrives

    def projects(self) -> set[str]:
        """Return all projects."""
        return {"kosmos"}

    def ids(self, _table: str, _project: str, _column: str, values: Collection[str]) -> set[str]:
        """Return which are stored."""
        return self.stored & set(values)

    def queue(self, keys: Sequence[str]) -> None:
        """Take objects again."""
        self.queued += keys
        if self._arrives:
            self.stored |= {key.split("/")[2] for key in keys}

    def sleep(self, _: float) -> None:
        """Take no time."""


def replayed(monkeypatch: pytest.MonkeyPatch, reconciler: Reconciler, bucket: Bucket) -> replay.Replayed:
    @contextmanager
    def opened(*_: object) -> Iterator[Bucket]:
        yield bucket

    monkeypatch.setattr(replay, "open_bucket", opened)
    monkeypatch.setattr(replay, "reconciler_of", lambda *_: reconciler)
    monkeypatch.setattr(replay, "look_at_compose", lambda *_, **__: [Findings("kosmos", replayed=3)])
    anything: Any = None
    return replay.replay_between(anything, anything, SINCE, UNTIL)


def test_scores_that_are_not_stored_are_queued(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bucket = Bucket(
        ("kosmos/score/stored/1.json", SINCE),
        ("kosmos/score/lost/2.json", SINCE),
        ("kosmos/score/lost/3.json", UNTIL),
        ("kosmos/score/before/4.json", SINCE - timedelta(seconds=1)),
        ("kosmos/score/after/5.json", UNTIL + timedelta(seconds=1)),
        ("zeus/score/deleted-project/6.json", SINCE),
        ("otel/kosmos/2026/11/21/07/00/7.json", SINCE),
    )
    reconciler = Reconciler({"stored"})
    assert replayed(monkeypatch, reconciler, bucket) == replay.Replayed(batches=3, scores=1)
    assert reconciler.queued == ["kosmos/score/lost/2.json", "kosmos/score/lost/3.json"]


def test_a_repeated_replay_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    reconciler = Reconciler({"lost"})
    assert replayed(monkeypatch, reconciler, Bucket(("kosmos/score/lost/2.json", SINCE))).scores == 0
    assert reconciler.queued == []


def test_a_score_that_does_not_arrive_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "_STORED_S", 0.0)
    reconciler = Reconciler(set(), arrives=False)
    with pytest.raises(StoreError, match="1 replayed scores of kosmos are not stored"):
        replayed(monkeypatch, reconciler, Bucket(("kosmos/score/lost/2.json", SINCE)))
