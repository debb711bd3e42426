"""Objects of scores in the events bucket: `<project>/score/<id>/<uuid>.json`, one for each write of a score.

Their names know no time: to find the young ones all of a project are listed, a thousand in a request.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from .s3 import Bucket, StoredObject

QUEUES = ("ingestion-queue", "secondary-ingestion-queue")
"""Through which scores go; where they are split into parts a number follows."""


def score_objects_between(
    bucket: Bucket, project: str, since: datetime, until: datetime | None = None
) -> Iterator[StoredObject]:
    """Yield the objects of a project's scores that were written between two moments.

    Raises:
        StackError: the object store fails.
    """
    for found in bucket.objects(f"{project}/score/"):
        if since <= found.modified and (until is None or found.modified <= until):
            yield found


def keys_by_score(keys: Iterable[str]) -> dict[str, list[str]]:
    """Return the keys of objects by the id of their score, which may have a slash in it."""
    found: dict[str, list[str]] = {}
    for key in keys:
        found.setdefault("/".join(key.split("/")[2:-1]), []).append(key)
    return found


def may_hold_scores(queues: Iterable[str]) -> bool:
    """Return whether scores may be among the jobs of these queues."""
    return any(queue.startswith(QUEUES) for queue in queues)
