"""Scores that were acknowledged and are not stored are taken again, and nothing else."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scripts.data.reconcile import scores
from scripts.data.reconcile.findings import Findings
from scripts.stores.errors import StoreError
from scripts.stores.s3 import StoredObject
from scripts.stores.score_objects import may_hold_scores

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
    """Stores what is queued, unless told not to; is its own ClickHouse."""

    settings = None
    keys_per_second = 100.0

    def __init__(self, stored: set[str], *, arrives: bool = True) -> None:
        self.clickhouse = self
        self.stored = stored
        self.queued: list[str] = []
        self._arrives = arrives

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


def replayed(monkeypatch: pytest.MonkeyPatch, reconciler: Any, bucket: Bucket) -> Findings:
    @contextmanager
    def opened(*_: object) -> Iterator[Bucket]:
        yield bucket

    monkeypatch.setattr(scores, "open_bucket", opened)
    findings = Findings("kosmos")
    scores.find_scores(reconciler, findings, SINCE, UNTIL)
    scores.replay_scores(reconciler, findings)
    return findings


def test_scores_of_that_time_that_are_not_stored_are_queued(monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = Bucket(
        ("kosmos/score/stored/1.json", SINCE),
        ("kosmos/score/lost/2.json", SINCE),
        ("kosmos/score/lost/3.json", UNTIL),
        ("kosmos/score/before/4.json", SINCE - timedelta(seconds=1)),
        ("kosmos/score/after/5.json", UNTIL + timedelta(seconds=1)),
        ("zeus/score/of-another-project/6.json", SINCE),
        ("otel/kosmos/2026/11/21/07/00/7.json", SINCE),
    )
    reconciler = Reconciler({"stored"})
    findings = replayed(monkeypatch, reconciler, bucket)
    assert reconciler.queued == ["kosmos/score/lost/2.json", "kosmos/score/lost/3.json"]
    assert (findings.scores, list(findings.missing_scores), findings.replayed_scores) == (2, ["lost"], 1)
    assert not findings.left
    assert findings.text().endswith("2 scores, 1 missing, 1 scores replayed")


def test_only_a_look_leaves_something_to_do() -> None:
    reconciler: Any = Reconciler(set())
    findings = Findings("kosmos")
    scores.find_scores_among(reconciler, findings, ["kosmos/score/lost/2.json"])
    assert findings.left
    assert reconciler.queued == []


def test_a_score_with_a_slash_in_its_id_is_found_and_not_queued() -> None:
    reconciler: Any = Reconciler({"run/7"})
    findings = Findings("kosmos")
    scores.find_scores_among(reconciler, findings, ["kosmos/score/run/7/1.json", "kosmos/score/run/8/2.json"])
    assert findings.missing_scores == {"run/8": ["kosmos/score/run/8/2.json"]}
    scores.replay_scores(reconciler, findings)
    assert reconciler.queued == []
    assert findings.left


def test_a_repeated_replay_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    reconciler = Reconciler({"lost"})
    assert not replayed(monkeypatch, reconciler, Bucket(("kosmos/score/lost/2.json", SINCE))).missing_scores
    assert reconciler.queued == []


def test_a_score_that_does_not_arrive_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores, "_STORED_S", 0.0)
    reconciler = Reconciler(set(), arrives=False)
    with pytest.raises(StoreError, match="1 replayed scores of kosmos are not stored") as caught:
        replayed(monkeypatch, reconciler, Bucket(("kosmos/score/lost/2.json", SINCE)))
    assert caught.value.details == ("lost",)


@pytest.mark.parametrize(
    ("queues", "may"),
    [
        ([], False),
        (["otel-ingestion-queue"], False),
        (["otel-ingestion-queue", "ingestion-queue-1"], True),
        (["secondary-ingestion-queue"], True),
    ],
)
def test_scores_wait_in_some_queues_only(queues: list[str], may: bool) -> None:
    assert may_hold_scores(queues) is may
