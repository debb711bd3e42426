"""After a rollback: bring back what was acknowledged between the backup and the rollback."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from scripts.core.context import Context
from scripts.core.s3 import Bucket
from scripts.core.settings.values import Settings
from scripts.reconcile.compose import KEYS_A_REPLAY, Reconciler
from scripts.reconcile.verb import look_at_compose, reconciler_of
from scripts.stores.buckets import EVENTS, open_bucket
from scripts.stores.errors import StoreError

_STORED_S = 300.0


@dataclass(frozen=True, slots=True)
class Replayed:
    """How much came back: batches of spans, and scores."""

    batches: int
    scores: int


def replay_between(context: Context, settings: Settings, since: datetime, until: datetime) -> Replayed:
    """Replay from the events bucket what came in between two moments and is not stored.

    Raises:
        StackError: a store or the server fails, or something does not arrive.
    """
    found = look_at_compose(context, settings, since, until, rate=100.0, check=False)
    reconciler = reconciler_of(context, settings)
    scores = 0
    for project in sorted(reconciler.postgres.projects()):
        with open_bucket(settings, EVENTS) as bucket:
            keys = list(_score_objects(bucket, project, since, until))
        scores += _replay_scores(reconciler, project, keys)
    return Replayed(sum(one.replayed for one in found), scores)


def _score_objects(bucket: Bucket, project: str, since: datetime, until: datetime) -> Iterator[str]:
    """Yield the objects of scores (`<project>/score/<id>/<uuid>.json`) that were written in between."""
    for found in bucket.objects(f"{project}/score/"):
        if since <= found.modified <= until:
            yield found.key


def _replay_scores(reconciler: Reconciler, project: str, keys: Sequence[str]) -> int:
    """Queue the objects whose score is not stored, wait for them; return how many scores that were."""
    by_id: dict[str, list[str]] = {}
    for key in keys:
        by_id.setdefault(key.split("/")[2], []).append(key)
    missing = sorted(by_id.keys() - _stored(reconciler, project, by_id.keys()))
    wanted = [key for score in missing for key in by_id[score]]
    for begin in range(0, len(wanted), KEYS_A_REPLAY):
        reconciler.queue(wanted[begin : begin + KEYS_A_REPLAY])
    deadline = time.monotonic() + _STORED_S
    while left := set(missing) - _stored(reconciler, project, missing):
        if time.monotonic() > deadline:
            raise StoreError(
                f"{len(left)} replayed scores of {project} are not stored after {_STORED_S:.0f} s.",
                fix="look at `make logs SERVICE=langfuse-worker`, then repeat: make rollback.",
            )
        reconciler.sleep(0.5)
    return len(missing)


def _stored(reconciler: Reconciler, project: str, ids: Collection[str]) -> set[str]:
    return reconciler.clickhouse.ids("scores", project, "id", ids) if ids else set()
