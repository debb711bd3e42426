"""The events bucket: every batch of spans that was acknowledged, as the server keeps it for a replay.

An object is a JSON array of resourceSpans under `otel/<project>/YYYY/MM/DD/HH/MM/<uuid>.json` (UTC).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from scripts.core.s3 import Bucket, StoredObject

ROOT = "otel/"


def projects_in(bucket: Bucket) -> list[str]:
    """Return the projects that have batches. Raises StackError."""
    return [folder.removeprefix(ROOT).rstrip("/") for folder in bucket.folders(ROOT)]


def objects_between(
    bucket: Bucket, project: str, since: datetime, until: datetime | None = None
) -> Iterator[StoredObject]:
    """Yield the batches of a project from the minute of `since` on, to the minute of `until`, by time.

    Raises:
        StackError: the object store fails.
    """
    folder = f"{ROOT}{project}/"
    last = minute(until) if until else "9"
    for found in bucket.objects(folder, after=f"{folder}{minute(since)}"):
        if found.key.removeprefix(folder)[: len("YYYY/MM/DD/HH/MM")] > last:
            return
        yield found


def minute(moment: datetime) -> str:
    """Return the folder of a moment: names sort as times do."""
    return f"{moment.astimezone(UTC):%Y/%m/%d/%H/%M}"
