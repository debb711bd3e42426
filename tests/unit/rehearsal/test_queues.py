"""The queues between the stand-ins, and what an operator may do with them."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any, cast

import pytest

from rehearsal.langfuse.admin import Admin
from rehearsal.langfuse.queues import OTEL, SECONDARY, Queues

KEY = "otel/kosmos/2026/11/21/08/30/one.json"


class FakeValkey:
    """Lists in memory, with the commands that the queues use."""

    def __init__(self) -> None:
        self.lists: dict[str, list[bytes]] = defaultdict(list)
        self.texts: dict[str, bytes] = {}

    def lpush(self, name: str, *values: str | bytes) -> None:
        for value in values:
            self.lists[name].insert(0, value.encode() if isinstance(value, str) else value)

    def lmove(self, source: str, target: str, take: str, put: str) -> bytes | None:
        if not self.lists[source]:
            return None
        value = self.lists[source].pop(-1 if take == "RIGHT" else 0)
        self.lists[target].insert(0 if put == "LEFT" else len(self.lists[target]), value)
        return value

    def blmove(self, source: str, target: str, _timeout: float, take: str, put: str) -> bytes | None:
        return self.lmove(source, target, take, put)

    def lrem(self, name: str, _count: int, value: bytes) -> None:
        self.lists[name].remove(value)

    def llen(self, name: str) -> int:
        return len(self.lists[name])

    def delete(self, name: str) -> None:
        self.lists.pop(name, None)

    def get(self, name: str) -> bytes | None:
        return self.texts.get(name)

    def set(self, name: str, value: str) -> None:
        self.texts[name] = value.encode()


@pytest.fixture
def queues() -> Queues:
    return Queues(cast(Any, FakeValkey()))


def otel_counts(queues: Queues) -> dict[str, int]:
    return queues.counts()[OTEL]


def test_jobs_come_in_the_order_in_which_they_were_added(queues: Queues) -> None:
    queues.add(OTEL, [{"key": "1"}, {"key": "2"}])
    taken = [queues.take(0) for _ in range(3)]
    assert taken[2] is None
    assert [json.loads(one[1])["key"] for one in taken if one] == ["1", "2"]
    assert otel_counts(queues) == {"waiting": 0, "active": 2, "failed": 0}


def test_what_a_killed_worker_had_taken_is_taken_again(queues: Queues) -> None:
    queues.add(OTEL, [{"key": "1"}])
    first = queues.take(0)
    assert queues.recover() == 1
    assert queues.take(0) == first


def test_a_job_that_is_done_is_gone_and_a_failed_one_is_kept_until_it_is_retried(queues: Queues) -> None:
    queues.add(OTEL, [{"key": "1"}, {"key": "2"}])
    for finish in (queues.done, queues.failed):
        taken = queues.take(0)
        assert taken is not None
        finish(*taken)
    assert otel_counts(queues) == {"waiting": 0, "active": 0, "failed": 1}
    queues.retry([OTEL, "unknown-queue"])
    assert otel_counts(queues) == {"waiting": 1, "active": 0, "failed": 0}


def test_removing_waiting_jobs_leaves_failed_ones(queues: Queues) -> None:
    queues.add(OTEL, [{"key": "1"}, {"key": "2"}])
    taken = queues.take(0)
    assert taken is not None
    queues.failed(*taken)
    queues.remove([OTEL], "wait")
    assert otel_counts(queues) == {"waiting": 0, "active": 0, "failed": 1}


def test_a_replay_queues_exports_and_scores_and_names_what_it_skips(queues: Queues) -> None:
    keys = [KEY, "kosmos/score/s1/e1.json", f"events/{KEY}", "kosmos/trace/t1/e1.json", "nonsense"]
    answer = Admin(queues, "key").replay({"keys": keys})
    assert json.loads(bytes(answer.body)) == {
        "queued": 2,
        "skipped": 3,
        "errors": [
            f"Invalid key format: events/{KEY}",
            "Unsupported replay type: trace",
            "Invalid key format: nonsense",
        ],
    }
    assert otel_counts(queues)["waiting"] == 1
    assert queues.counts()[SECONDARY]["waiting"] == 1
    taken = queues.take(0)
    assert taken is not None
    assert json.loads(taken[1]) == {"project_id": "kosmos", "key": KEY}


@pytest.mark.parametrize("body", [{}, {"keys": []}, {"keys": [1]}, {"keys": [KEY] * 1001}, [], None])
def test_a_replay_of_no_list_of_keys_is_refused(queues: Queues, body: Any) -> None:
    assert Admin(queues, "key").replay(body).status_code == 400
    assert otel_counts(queues)["waiting"] == 0


def test_the_worker_is_told_known_faults_only(queues: Queues) -> None:
    admin = Admin(queues, "key")
    assert queues.fault == "none"
    assert admin.set_fault({"fault": "drop"}).status_code == 200
    assert admin.set_fault({"fault": "explode"}).status_code == 400
    assert queues.fault == "drop"
