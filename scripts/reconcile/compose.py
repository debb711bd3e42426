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

import httpx

from scripts.core.s3 import Bucket, NoSuchObject
from scripts.core.settings.values import Settings
from scripts.stores.buckets import EVENTS, open_bucket
from scripts.stores.clickhouse import ClickHouse
from scripts.stores.errors import StoreError
from scripts.stores.event_batches import (
    Batch,
    SpanId,
    objects_between,
    parse_batch,
    remove_traces,
    spans_of,
)
from scripts.stores.postgres import Postgres

from .findings import Findings

KEYS_A_REPLAY = 200
"""Batches that are replayed before their spans are waited for; the server takes 1000."""
_BATCHES_A_QUESTION = 250
_THREADS = 16
_READABLE_S = 300.0
_PROJECT = re.compile(r"[A-Za-z0-9_-]+")


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
    """

    settings: Settings
    postgres: Postgres
    clickhouse: ClickHouse
    base_url: str
    keys_per_second: float = 100.0
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

    def replay(self, findings: Findings) -> None:
        """Replay the missing until all can be read; nothing is replayed twice.

        Raises:
            StackError: the server does not queue them, or they are not readable in time.
        """
        missing = self._missing[findings.project]
        for keys in _chunks(sorted(findings.missing), KEYS_A_REPLAY):
            began = time.monotonic()
            self._take_deleted_out(keys, missing)
            self.queue(keys)
            self._wait(findings.project, {span for key in keys for span in missing[key].spans})
            findings.replayed += len(keys)
            self.sleep(max(0.0, len(keys) / self.keys_per_second - (time.monotonic() - began)))
        again = {span for one in missing.values() if one.stored for span in one.spans}
        if again:
            self.clickhouse.merge(findings.project, again)

    def _look(self, bucket: Bucket, project: str, keys: Iterable[str]) -> Findings:
        findings = Findings(project)
        self._missing[project] = {}
        with ThreadPoolExecutor(_THREADS) as pool:
            for some in _chunks(keys, _BATCHES_A_QUESTION):
                bodies = pool.map(lambda key: _body(bucket, key), some)
                batches = _parsed(zip(some, bodies, strict=True), findings)
                self._compare(project, batches, findings)
        return findings

    def _compare(self, project: str, batches: dict[str, Batch], findings: Findings) -> None:
        spans = {key: set(spans_of(batch)) for key, batch in batches.items()}
        every = set().union(*spans.values())
        lost = every - self.clickhouse.stored(project, every)
        deleted = self.postgres.deleted_traces(project, {span.trace for span in lost})
        findings.batches += len(batches)
        findings.spans += len(every)
        findings.deleted += sum(span.trace in deleted for span in lost)
        for key, of_batch in spans.items():
            missing = {span for span in of_batch & lost if span.trace not in deleted}
            if missing:
                gone = {span.trace for span in of_batch if span.trace in deleted}
                self._missing[project][key] = _Missing(missing, len(of_batch) > len(missing), gone)
                findings.missing[key] = len(missing)

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
            answer = httpx.post(
                f"{self.base_url}/api/admin/ingestion-replay",
                json={"keys": list(keys)},
                headers={"authorization": f"Bearer {self.settings['ADMIN_API_KEY']}"},
                timeout=120,
                trust_env=False,
            ).raise_for_status()
            queued, errors = answer.json()["queued"], answer.json().get("errors", [])
        except (httpx.HTTPError, ValueError, LookupError) as error:
            raise StoreError(
                f"The server does not replay ({type(error).__name__}: {error}).",
                fix="look at `make status`, then repeat: what was replayed is not replayed again.",
            ) from error
        if queued != len(keys):
            raise StoreError(
                f"The server queued {queued} of {len(keys)} batches.",
                details=[str(one) for one in errors[:5]],
                fix="replays work with an empty event prefix only (LANGFUSE_S3_EVENT_UPLOAD_PREFIX).",
            )

    def _wait(self, project: str, spans: set[SpanId]) -> None:
        deadline = time.monotonic() + _READABLE_S
        while left := spans - self.clickhouse.stored(project, spans):
            if time.monotonic() > deadline:
                raise StoreError(
                    f"{len(left)} replayed spans of {project} are not stored after {_READABLE_S:.0f} s.",
                    fix="look at `make logs SERVICE=langfuse-worker`, then repeat.",
                )
            self.sleep(0.5)

    def _events(self) -> Bucket:
        return open_bucket(self.settings, EVENTS)


def _body(bucket: Bucket, key: str) -> bytes | None:
    """Return an object, or None when it has expired since it was listed."""
    try:
        return bucket.get(key)
    except NoSuchObject:
        return None


def _parsed(objects: Iterable[tuple[str, bytes | None]], findings: Findings) -> dict[str, Batch]:
    batches = {}
    for key, body in objects:
        if body is None:
            continue
        try:
            batches[key] = parse_batch(key, body)
        except StoreError:
            findings.unreadable.append(key)
    return batches


def _chunks(keys: Iterable[str], size: int) -> Iterator[list[str]]:
    iterator = iter(keys)
    while some := list(islice(iterator, size)):
        yield some
