"""What stands for one row of a list in an export: prompts and dataset items in versions, items of queues."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta

from scripts.api.client import Api, Row, segment
from scripts.api.errors import ObjectRefused

from .files import Manifest
from .kinds import ANNOTATION_ITEMS, DATASET_ITEM_VERSIONS, EXPERIMENT_ITEMS, MODELS, PROMPTS, Kind

MOST_READS = 500
"""Moments of a dataset that are read at most to find versions of its items."""


def expanded(remote: Api, kind: Kind, row: Row, manifest: Manifest) -> Iterator[Row]:
    """Yield what an export has for one row of the kind's list."""
    way = _WAYS.get(kind.name)
    if way is None:
        yield row
    else:
        yield from way(remote, row, manifest)


def _prompt_versions(remote: Api, row: Row, manifest: Manifest) -> Iterator[Row]:
    """Yield all versions of a prompt, with references to other prompts as they were written.

    One that the server does not give is noted in the manifest, and left out.
    """
    for version in sorted(row["versions"]):
        try:
            yield remote.get(f"v2/prompts/{segment(row['name'])}", version=version, resolve="false")
        except ObjectRefused as error:
            manifest.skip(f"version {version} of prompt {row['name']}", error.message)


def _own_model(_: Api, row: Row, __: Manifest) -> Iterator[Row]:
    if not row["isLangfuseManaged"]:
        yield row


def _experiment_item(_: Api, row: Row, __: Manifest) -> Iterator[Row]:
    yield {name: value for name, value in row.items() if name in EXPERIMENT_ITEMS.columns}


def _queue_items(remote: Api, row: Row, _: Manifest) -> Iterator[Row]:
    for page in remote.by_number(f"annotation-queues/{segment(row['id'])}/items", {"limit": 100}):
        # The newest stands first.
        yield from ({**item, "queueName": row["name"]} for item in page)


def _item_versions(remote: Api, dataset: Row, manifest: Manifest) -> Iterator[Row]:
    """Yield the versions of a dataset's items that have several, by item and time.

    The API shows a dataset as it was at a moment, and of a version when it was written (`createdAt`: each
    version is a row of its own, dataset-items.ts:473-481 at v4.16.0). So what was there just before each
    second in which something was written shows all versions that lived until another second. Of items that
    were deleted the API tells nothing.
    """
    name = str(dataset["name"])
    current: dict[str, str] = {}
    older: dict[str, dict[str, Row]] = {}
    waiting: set[datetime] = set()
    for row in _items(remote, name):
        current[row["id"]] = row["createdAt"]
        waiting.add(_second(row))
    done: set[datetime] = set()
    while waiting and len(done) < MOST_READS:
        moment = max(waiting)
        waiting.remove(moment)
        done.add(moment)
        at = (moment - timedelta(milliseconds=1)).isoformat(timespec="milliseconds")
        for row in _items(remote, name, version=at.replace("+00:00", "Z")):
            known = older.setdefault(row["id"], {})
            if row["id"] in current and row["createdAt"] not in (current[row["id"]], *known):
                known[row["createdAt"]] = row
                waiting |= {_second(row)} - done
    if waiting:
        manifest.skip(
            f"versions of items of dataset {name}",
            f"it was written to in more than {MOST_READS} different seconds; the present versions are there",
        )
    for item, versions in sorted(older.items()):
        if versions:
            yield from (versions[moment] for moment in sorted(versions))
            yield remote.get(f"dataset-items/{segment(item)}")


def _items(remote: Api, dataset: str, **query: str) -> Iterator[Row]:
    for page in remote.by_number("dataset-items", {"datasetName": dataset, "limit": 100, **query}):
        yield from page


def _second(row: Row) -> datetime:
    return datetime.fromisoformat(row["createdAt"]).replace(microsecond=0)


_WAYS: Mapping[str, Callable[[Api, Row, Manifest], Iterator[Row]]] = {
    PROMPTS.name: _prompt_versions,
    MODELS.name: _own_model,
    EXPERIMENT_ITEMS.name: _experiment_item,
    ANNOTATION_ITEMS.name: _queue_items,
    DATASET_ITEM_VERSIONS.name: _item_versions,
}
