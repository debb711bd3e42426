"""Datasets: description, metadata and the schemas of their items. The items are a kind of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scripts.provision.content import Content
from scripts.provision.items import stored
from scripts.provision.resources import Action, Body, Change, Found, Wanted, compact, simple_change
from scripts.provision.server import Server

ITEM = "dataset item"


class Datasets:
    """See Kind. A dataset is known by its name."""

    name = "dataset"
    section = "datasets"

    def wanted(self, content: Content, secrets: Mapping[str, str]) -> list[Wanted]:
        return [
            Wanted(
                dataset.name,
                {
                    "description": dataset.description,
                    "metadata": dataset.metadata,
                    "inputSchema": dataset.input_schema,
                    "expectedOutputSchema": dataset.expected_output_schema,
                },
            )
            for dataset in content.datasets
        ]

    def found(self, server: Server, wanted: Sequence[Wanted]) -> list[Found]:
        rows = server.pages("v2/datasets")
        for row in rows:
            server.note_id(self.name, row["name"], row["id"])
        return [
            Found(
                row["name"],
                {
                    "description": row.get("description") or "",
                    "metadata": row.get("metadata") or {},
                    "inputSchema": row.get("inputSchema"),
                    "expectedOutputSchema": row.get("expectedOutputSchema"),
                },
                row["id"],
            )
            for row in rows
        ]

    def compare(self, wanted: Wanted, found: Found | None) -> Change | None:
        return simple_change(self.name, wanted, found)

    def removal(self, found: Found) -> Change | None:
        note = "the API cannot delete a dataset; delete it in the user interface"
        return Change(Action.BLOCKED, self.name, found.key, note=note, found=found)

    def write(self, server: Server, change: Change) -> None:
        if change.wanted is None:
            return
        body: Body = {"name": change.key, **change.wanted.body}
        if change.found is None:
            body = {"name": change.key, **compact(change.wanted.body)}
        row = server.post("v2/datasets", body)
        server.note_id(self.name, change.key, row["id"])

    def exported(self, found: Found, everything: Mapping[str, Sequence[Found]]) -> Body | None:
        """See Kind. With the items."""
        items = [one for one in everything.get(ITEM, ()) if one.body["datasetName"] == found.key]
        return compact(
            {
                "name": found.key,
                "description": found.body["description"],
                "metadata": found.body["metadata"],
                "input_schema": found.body["inputSchema"],
                "expected_output_schema": found.body["expectedOutputSchema"],
                "items": [_file_item(item) for item in items],
            }
        )


def _file_item(item: Found) -> Body:
    body = item.body
    return {
        "id": item.key,
        **{
            name: _kept(value)
            for name, value in (
                ("input", body["input"]),
                ("expected_output", body["expectedOutput"]),
                ("metadata", body["metadata"]),
                ("source_trace_id", body["sourceTraceId"]),
                ("source_observation_id", body["sourceObservationId"]),
            )
            if value is not None or name == "input"
        },
        **({"status": body["status"]} if body["status"] != "ACTIVE" else {}),
    }


def _kept(value: object) -> object:
    """Return a value that reads back as itself: a text that looks like JSON would be parsed."""
    import json

    return json.dumps(value) if isinstance(value, str) and stored(value) != value else value
