"""Datasets of an export with their items, versions of these, and the media that they show."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from scripts.api.client import Row, segment

from .importing import Import
from .media import upload
from .spans import json_value, parsed


def datasets(one: Import, rows: Iterator[Row]) -> None:
    """Make the datasets that are not there as they are in the export."""
    for row in rows:
        body = {"name": row["name"], "description": row.get("description")}
        for name in ("metadata", "inputSchema", "expectedOutputSchema"):
            body[name] = parsed(row.get(name))
        wanted = {name: value for name, value in body.items() if value is not None}
        with one.each(f"dataset {row['name']}"):
            there = one.remote.get(f"v2/datasets/{segment(str(row['name']))}", also=(404,))
            if not _has(there, wanted):
                one.remote.post("v2/datasets", wanted)
                one.count("datasets")


def dataset_item_versions(one: Import, rows: Iterator[Row]) -> None:
    """Write the versions of items, each in its turn; behind the one that is there, if it is one of them."""
    shown = _media_of_items(one)
    for item, of_item in groupby(rows, key=lambda row: str(row["id"])):
        bodies = [_body(row) for row in of_item]
        with one.each(f"versions of dataset item {item}"):
            there = one.remote.get(f"dataset-items/{segment(item)}", also=(404,))
            done = next((at for at in reversed(range(len(bodies))) if _has(there, bodies[at])), -1)
            for body in bodies[done + 1 :] if there is None or done >= 0 else ():
                _write(one, body, shown)
                one.count("dataset_item_versions")


def dataset_items(one: Import, rows: Iterator[Row]) -> None:
    """Write the items that are not there as they are in the export: each write makes a version."""
    shown = _media_of_items(one)
    for row in rows:
        body = _body(row)
        with one.each(f"dataset item {row['id']}"):
            if not _has(one.remote.get(f"dataset-items/{segment(str(row['id']))}", also=(404,)), body):
                _write(one, body, shown)
                one.count("dataset_items")


def _media_of_items(one: Import) -> dict[str, list[Row]]:
    found = defaultdict(list)
    for row in one.rows("media"):
        if row.get("datasetItemId"):
            found[str(row["datasetItemId"])].append(row)
    return found


def _write(one: Import, body: Row, shown: dict[str, list[Row]]) -> None:
    """Write an item, after its media: the server refuses one that shows what it does not know."""
    for row in shown.pop(body["id"], ()):
        dataset = one.remote.get(f"v2/datasets/{segment(body['datasetName'])}")
        if upload(one.remote, one.source, {**row, "datasetId": dataset["id"]}):
            one.count("media")
    one.remote.post("dataset-items", body)


def _body(row: Row) -> Row:
    names = ("id", "datasetName", "status", "sourceTraceId", "sourceObservationId")
    body = {name: row[name] for name in names if row.get(name)}
    for name in ("input", "expectedOutput", "metadata"):
        if row.get(name) is not None:
            body[name] = json_value(row[name])
    return body


def _has(there: Any, wanted: Row) -> bool:
    return there is not None and all(there.get(name) == value for name, value in wanted.items())
