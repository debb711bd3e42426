"""The events bucket: every batch of spans that was acknowledged, as the server keeps it for a replay.

An object is a JSON array of resourceSpans under `otel/<project>/YYYY/MM/DD/HH/MM/<uuid>.json` (UTC). Ids in
it are hexadecimal (OTLP/JSON) or `{"type": "Buffer", "data": [...]}` (protobuf, which the SDKs send).
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Container, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import orjson

from .errors import StoreError
from .s3 import Bucket, StoredObject

ROOT = "otel/"
Batch = list[dict[str, Any]]


class SpanId(NamedTuple):
    """A span, by the ids that it has in every store: hexadecimal, lower case."""

    trace: str
    span: str


def projects_in(bucket: Bucket) -> list[str]:
    """Return the projects that have batches. Raises StackError."""
    return [folder.removeprefix(ROOT).rstrip("/") for folder in bucket.folders(ROOT)]


def objects_between(
    bucket: Bucket, project: str, since: datetime | None, until: datetime | None = None
) -> Iterator[StoredObject]:
    """Yield the batches of a project from the minute of `since` on, to the minute of `until`, by time.

    Raises:
        StackError: the object store fails.
    """
    folder = f"{ROOT}{project}/"
    first, last = minute(since) if since else "", minute(until) if until else "9"
    # After the folder of the minute before: SeaweedFS leaves out all that is in a folder whose name is given.
    after = f"{folder}{minute(since - timedelta(minutes=1))}" if since else ""
    for found in bucket.objects(folder, after=after):
        folder_of_it = found.key.removeprefix(folder)[: len("YYYY/MM/DD/HH/MM")]
        if folder_of_it > last:
            return
        if folder_of_it >= first:
            yield found


def minute(moment: datetime) -> str:
    """Return the folder of a moment: names sort as times do."""
    return f"{moment.astimezone(UTC):%Y/%m/%d/%H/%M}"


def parse_batch(key: str, body: bytes) -> Batch:
    """Return the resourceSpans of an object. Raises StoreError when it holds something else."""
    try:
        batch: Batch = orjson.loads(body)
        for _ in spans_of(batch):
            pass
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StoreError(
            f"The object {key} is not a batch of spans ({type(error).__name__}: {error})."
        ) from error
    return batch


def spans_of(batch: Batch) -> Iterator[SpanId]:
    """Yield the ids of all spans of a batch."""
    for resource in batch:
        for scope in resource.get("scopeSpans") or ():
            for span in scope.get("spans") or ():
                yield span_id(span)


def span_id(span: dict[str, Any]) -> SpanId:
    """Return the ids of a span."""
    return SpanId(_hexadecimal(span["traceId"]), _hexadecimal(span["spanId"]))


def without(batch: Batch, gone: Callable[[SpanId, dict[str, Any]], bool]) -> Batch:
    """Return a batch without the spans that are `gone`; resources without spans go, too."""
    kept = []
    for resource in batch:
        scopes = []
        for scope in resource.get("scopeSpans") or ():
            spans = [span for span in scope.get("spans") or () if not gone(span_id(span), span)]
            if spans:
                scopes.append({**scope, "spans": spans})
        if scopes:
            kept.append({**resource, "scopeSpans": scopes})
    return kept


def remove_traces(bucket: Bucket, key: str, batch: Batch, traces: Container[str]) -> int:
    """Rewrite an object without the spans of some traces, or delete it when none is left; say how many went.

    Raises:
        StackError: the object store fails.
    """
    kept = without(batch, lambda span, _: span.trace in traces)
    removed = sum(1 for _ in spans_of(batch)) - sum(1 for _ in spans_of(kept))
    if removed and kept:
        bucket.put(key, orjson.dumps(kept), "application/json")
    elif removed:
        bucket.delete(key)
    return removed


def _hexadecimal(value: Any) -> str:
    if isinstance(value, str):
        return value.lower()
    return binascii.hexlify(bytes(value["data"])).decode()
