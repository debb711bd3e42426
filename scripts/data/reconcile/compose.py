"""Compare the events bucket of a compose stack with ClickHouse, and replay the batches with missing spans.

Only those: what is stored and replayed shows up twice until ClickHouse has merged it. Never a deleted trace:
it looks missing, and a replay would resurrect it. The server answers 200 also when it queues nothing.
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from scripts.api.client import Api
from scripts.api.errors import ApiError, reason_of
from scripts.settings.values import Settings
from scripts.stores.buckets import EVENTS, open_bucket
from scripts.stores.clickhouse import ClickHouse
from scripts.stores.errors import StoreError
from scripts.stores.event_batches import (
    SpanId,
    objects_between,
    parse_batch,
    remove_traces,
    spans_of,
    without,
)
from scripts.stores.postgres import Postgres
from scripts.stores.queues import depths
from scripts.stores.s3 import Bucket, NoSuchObject

from .findings import Findings

KEYS_A_REPLAY = 200
"""Batches that are replayed before their spans are waited for; the server takes 1000."""
_REPLAY_TIMEOUT_S = 120.0
_THREADS = 16
_LOOKS_AT_QUEUES = 10
PATIENCE_S = 60.0
"""How long nothing more may arrive of what was replayed."""
# What the server reads as a project in the key of a batch (ingestion/eventBucketPath.ts:22 at v4.16.0).
_PROJECT = re.compile(r"[^/]+", re.DOTALL)


@dataclass(slots=True)
class _Missing:
    """A batch with spans that are stored nowhere."""

    spans: set[SpanId]
    stored: bool
    deleted: set[str]


@dataclass(slots=True)
class Reconciler:
    """Looks at one stack. Every method raises StackError when a store or the server fails.

    Attributes:
        keys_per_second: how many batches are replayed in a second at most.
        batches_a_question: how many are in memory at once.
        patience_s: how long nothing more may arrive of what was replayed.
        strict: whether it is an error when nothing of a lot arrives while jobs wait.
    """

    settings: Settings
    postgres: Postgres
    clickhouse: ClickHouse
    base_url: str
    keys_per_second: float = 100.0
    batches_a_question: int = 250
    patience_s: float = PATIENCE_S
    strict: bool = True
    sleep: Callable[[float], None] = time.sleep
    _missing: dict[str, dict[str, _Missing]] = field(default_factory=lambda: defaultdict(dict))

    def projects(self) -> list[str]:
        """Return the projects that were not deleted."""
        return sorted(filter(_PROJECT.fullmatch, self.postgres.projects()))

    def find(self, project: str, since: datetime | None, until: datetime) -> Findings:
        """Return what of a project's batches between two moments is missing."""
        with self._events() as bucket:
            keys = (found.key for found in objects_between(bucket, project, since, until))
            return self._look(bucket, project, keys)

    def find_among(self, project: str, keys: Iterable[str]) -> Findings:
        """Return what of these batches of a project is missing."""
        with self._events() as bucket:
            return self._look(bucket, project, keys)

    def show(self, wanted: str, since: datetime, until: datetime) -> dict[str, Any]:
        """Return the batch that has a span or trace, and these spans as they were sent; empty without one.

        Raises:
            StackError: the object store fails.
        """
        with self._events() as bucket:
            for project in self.projects():
                for found in objects_between(bucket, project, since, until):
                    body = _body(bucket, found.key)
                    batch = parse_batch(found.key, body) if body else []
                    if any(wanted in one for one in spans_of(batch)):
                        kept = without(batch, lambda ids, _: wanted not in ids)
                        return {"project": project, "batch": found.key, "resourceSpans": kept}
        return {}

    def replay(self, findings: Findings, keys: Iterable[str] | None = None, lot: int | None = None) -> None:
        """Replay the missing until all can be read; nothing is replayed twice.

        What is not stored then is among `findings.refused`: a row that ClickHouse does not take.

        Args:
            findings: what `find` or `find_among` has returned.
            keys: of which batches; all that lack something by default.
            lot: how many batches are replayed at once. A row that is refused can hold up those beside it.

        Raises:
            StackError: the server does not queue them, or the worker stores nothing at all.
        """
        missing = self._missing[findings.project]
        for some in _chunks(sorted(findings.missing if keys is None else keys), lot or KEYS_A_REPLAY):
            began = time.monotonic()
            self._take_deleted_out(some, missing)
            self.queue(some)
            awaited = {span for key in some for span in missing[key].spans}
            left = self._wait(findings.project, awaited)
            if self.strict and left == awaited:
                self._require_a_worker(findings.project, some, len(left))
            for key in some:
                refused = sorted(missing[key].spans & left)
                findings.refused.pop(key, None)
                if refused:
                    findings.refused[key] = refused
            findings.replayed += len(some)
            self.sleep(max(0.0, len(some) / self.keys_per_second - (time.monotonic() - began)))
        again = {span for one in missing.values() if one.stored for span in one.spans}
        if again:
            self.clickhouse.merge(findings.project, again)

    def _require_a_worker(self, project: str, keys: Sequence[str], spans: int) -> None:
        """Raise StoreError when jobs keep waiting; what a worker has taken and not stored is refused."""
        jobs = 0
        # New ones may come all the time: a worker that works has none now and then.
        for _ in range(_LOOKS_AT_QUEUES):
            jobs = sum(depths(self.base_url, self.settings["ADMIN_API_KEY"]).values())
            if not jobs:
                return
            self.sleep(1)
        raise StoreError(
            f"None of {spans} replayed spans of {project} is stored after {self.patience_s:.0f} s, and "
            f"{jobs} jobs wait: the worker does not work.",
            details=keys[:5],
            fix="look at `make logs SERVICE=langfuse-worker`, then repeat.",
        )

    def _look(self, bucket: Bucket, project: str, keys: Iterable[str]) -> Findings:
        findings = Findings(project)
        self._missing[project] = {}
        with ThreadPoolExecutor(_THREADS) as pool:
            for some in _chunks(keys, self.batches_a_question):
                bodies = pool.map(lambda key: _body(bucket, key), some)
                batches = _parsed(zip(some, bodies, strict=True), findings)
                self._compare(project, batches, findings)
        return findings

    def _compare(self, project: str, spans: dict[str, set[SpanId]], findings: Findings) -> None:
        every = set().union(*spans.values())
        lost = every - self.clickhouse.stored(project, every)
        deleted = self.postgres.deleted_traces(project, {span.trace for span in lost})
        findings.batches += len(spans)
        findings.spans += len(every)
        findings.deleted += sum(span.trace in deleted for span in lost)
        for key, of_batch in spans.items():
            missing = {span for span in of_batch & lost if span.trace not in deleted}
            if missing:
                gone = {span.trace for span in of_batch if span.trace in deleted}
                self._missing[project][key] = _Missing(missing, len(of_batch) > len(missing), gone)
                findings.missing[key] = len(missing)
                findings.spans_missing[key] = sorted(missing)

    def _take_deleted_out(self, keys: Sequence[str], missing: dict[str, _Missing]) -> None:
        with self._events() as bucket:
            for key in keys:
                if missing[key].deleted:
                    remove_traces(bucket, key, parse_batch(key, bucket.get(key)), missing[key].deleted)

    def queue(self, keys: Sequence[str]) -> None:
        """Have the server take objects of the events bucket again.

        Raises:
            StackError: it does not queue all of them.
        """
        try:
            with Api(self.base_url, self.settings["ADMIN_API_KEY"], timeout_s=_REPLAY_TIMEOUT_S) as api:
                answer = api.post("/api/admin/ingestion-replay", {"keys": list(keys)})
            queued, errors = answer["queued"], answer.get("errors", [])
        except (ApiError, LookupError, TypeError) as error:
            raise StoreError(
                f"The server does not replay ({reason_of(error)}).",
                fix="look at `make status`, then repeat: what was replayed is not replayed again.",
            ) from error
        if queued != len(keys):
            raise StoreError(
                f"The server queued {queued} of {len(keys)} batches.",
                details=[str(one) for one in errors[:5]],
                fix="replays work with an empty event prefix only (LANGFUSE_S3_EVENT_UPLOAD_PREFIX).",
            )

    def _wait(self, project: str, spans: set[SpanId]) -> set[SpanId]:
        """Return what is not stored when nothing more has arrived for a while."""
        left, deadline = set(spans), time.monotonic() + self.patience_s
        while left:
            still = left - self.clickhouse.stored(project, left)
            if len(still) < len(left):
                deadline = time.monotonic() + self.patience_s
            elif time.monotonic() > deadline:
                return left
            left = still
            if left:
                self.sleep(0.5)
        return left

    def _events(self) -> Bucket:
        return open_bucket(self.settings, EVENTS)


def _body(bucket: Bucket, key: str) -> bytes | None:
    """Return an object, or None when it has expired since it was listed."""
    try:
        return bucket.get(key)
    except NoSuchObject:
        return None


def _parsed(objects: Iterable[tuple[str, bytes | None]], findings: Findings) -> dict[str, set[SpanId]]:
    """Return the spans of objects. Their texts are let go of at once: they can be megabytes."""
    batches = {}
    for key, body in objects:
        if body is None:
            continue
        try:
            batches[key] = set(spans_of(parse_batch(key, body)))
        except StoreError:
            findings.unreadable.append(key)
    return batches


def _chunks(keys: Iterable[str], size: int) -> Iterator[list[str]]:
    iterator = iter(keys)
    while some := list(islice(iterator, size)):
        yield some
