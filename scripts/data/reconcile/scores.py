"""Compare the scores in the events bucket with ClickHouse, and have those taken again that are not stored.

By their ids: whether the last change of a score that is stored has arrived cannot be seen.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from datetime import datetime

from scripts.stores.buckets import EVENTS, open_bucket
from scripts.stores.errors import StoreError
from scripts.stores.score_objects import keys_by_score, score_objects_between

from .compose import KEYS_A_REPLAY, Reconciler
from .findings import Findings

_STORED_S = 60.0
"""How long nothing more may arrive: a score that the worker refuses never does."""


def find_scores(reconciler: Reconciler, findings: Findings, since: datetime, until: datetime) -> None:
    """Add to findings which scores of a project were acknowledged between two moments and are not stored.

    Raises:
        StackError: a store fails.
    """
    with open_bucket(reconciler.settings, EVENTS) as bucket:
        keys = [found.key for found in score_objects_between(bucket, findings.project, since, until)]
    find_scores_among(reconciler, findings, keys)


def find_scores_among(reconciler: Reconciler, findings: Findings, keys: Iterable[str]) -> None:
    """Add to findings which scores with these objects are not stored. Raises StackError."""
    by_score = keys_by_score(keys)
    lost = by_score.keys() - _stored(reconciler, findings.project, by_score.keys())
    findings.scores += len(by_score)
    findings.missing_scores |= {score: by_score[score] for score in sorted(lost)}


def replay_scores(reconciler: Reconciler, findings: Findings) -> None:
    """Queue the objects of the missing scores again, and wait for them. Some the server does not take.

    Raises:
        StackError: the server does not queue them, or they are not stored in time.
    """
    # The server splits names at slashes: it takes none of a score that has one in its id.
    missing = {id_: keys for id_, keys in findings.missing_scores.items() if "/" not in id_}
    keys = [key for of_score in missing.values() for key in of_score]
    for begin in range(0, len(keys), KEYS_A_REPLAY):
        began = time.monotonic()
        some = keys[begin : begin + KEYS_A_REPLAY]
        reconciler.queue(some)
        reconciler.sleep(max(0.0, len(some) / reconciler.keys_per_second - (time.monotonic() - began)))
    left, deadline = set(missing), time.monotonic() + _STORED_S
    while still := left - _stored(reconciler, findings.project, left):
        if len(still) < len(left):
            deadline = time.monotonic() + _STORED_S
        elif time.monotonic() > deadline:
            raise StoreError(
                f"{len(still)} replayed scores of {findings.project} are not stored after {_STORED_S:.0f} s.",
                details=sorted(still)[:20],
                fix="look at `make logs SERVICE=langfuse-worker`, then repeat.",
            )
        left = still
        reconciler.sleep(0.5)
    findings.replayed_scores += len(missing)


def _stored(reconciler: Reconciler, project: str, ids: Collection[str]) -> set[str]:
    return reconciler.clickhouse.ids("scores", project, "id", ids) if ids else set()
