"""Dataset items: compared by id and content; a change makes a new version of the item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scripts.api.client import segment
from scripts.provision.content import Content
from scripts.provision.items import item_id, stored
from scripts.provision.resources import Action, Body, Change, Found, Wanted, simple_change
from scripts.provision.server import Server

from .datasets import ITEM, Datasets

_PATH = "dataset-items"
_ASKED_FOR = 200
_FIELDS = (
    *("datasetName", "input", "expectedOutput", "metadata", "status"),
    *("sourceTraceId", "sourceObservationId"),
)


class DatasetItems:
    """See Kind. Item ids are unique in a project."""

    name = ITEM
    section = ""

    def wanted(self, content: Content, secrets: Mapping[str, str]) -> list[Wanted]:
        return [
            Wanted(
                item_id(dataset.name, item),
                {
                    "datasetName": dataset.name,
                    "input": stored(item.input),
                    "expectedOutput": stored(item.expected_output),
                    "metadata": stored(item.metadata),
                    "status": item.status,
                    "sourceTraceId": item.source_trace_id,
                    "sourceObservationId": item.source_observation_id,
                },
            )
            for dataset in content.datasets
            for item in dataset.items
        ]

    def found(self, server: Server, wanted: Sequence[Wanted]) -> list[Found]:
        """See Kind. Only in the datasets that files describe; lists leave archived items out."""
        known = [name for kind, name in server.ids if kind == Datasets.name]
        sets = dict.fromkeys(one.body["datasetName"] for one in wanted)
        rows = [row for name in sets if name in known for row in server.pages(_PATH, datasetName=name)]
        listed = {row["id"] for row in rows}
        missing = [one for one in wanted if one.body["datasetName"] in known and one.key not in listed]
        # Archived items have to be asked for one by one, so where many are missing they count as new.
        hidden = [
            one.key for one in missing if one.body["status"] == "ARCHIVED" or len(missing) <= _ASKED_FOR
        ]
        rows += [
            row
            for row in server.each(lambda key: server.get(f"{_PATH}/{segment(key)}", also=(404,)), hidden)
            if row
        ]
        return [_found(row) for row in rows]

    def compare(self, wanted: Wanted, found: Found | None) -> Change | None:
        change = simple_change(self.name, wanted, found)
        if change is None or found is None:
            return change
        if found.body["datasetName"] != wanted.body["datasetName"]:
            note = f"it is in {found.body['datasetName']}: it is deleted there"
        elif any(one.new is None for one in change.differences if "." not in one.field):
            note = "a field cannot be emptied: the item is deleted and made anew"
        else:
            return Change(
                Action.UPDATE, self.name, wanted.key, change.differences, "a new version", wanted, found
            )
        return Change(Action.REPLACE, self.name, wanted.key, change.differences, note, wanted, found)

    def removal(self, found: Found) -> Change | None:
        return Change(Action.DELETE, self.name, found.key, found=found)

    def write(self, server: Server, change: Change) -> None:
        if change.action in {Action.REPLACE, Action.DELETE}:
            server.delete(f"{_PATH}/{segment(change.key)}")
        if change.wanted:
            given = {key: value for key, value in change.wanted.body.items() if value is not None}
            server.post(_PATH, {"id": change.key, **given})

    def exported(self, found: Found, everything: Mapping[str, Sequence[Found]]) -> Body | None:
        """See Kind. Items are in their datasets."""
        return None


def read_items_of(server: Server, datasets: Sequence[str]) -> list[Found]:
    """Return the active items of datasets, by id."""
    rows = [row for name in datasets for row in server.pages(_PATH, datasetName=name)]
    return [_found(row) for row in sorted(rows, key=lambda row: str(row["id"]))]


def _found(row: Body) -> Found:
    return Found(row["id"], {field: row.get(field) for field in _FIELDS}, row["id"])
