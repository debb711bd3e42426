"""Score configs, models, prompts and annotation queues of an export: what is there already stays as it is."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from scripts.api.client import Row, segment

from .importing import Import
from .spans import json_value, parsed

_HOLE = "Takes the place of a deleted version until the next one is there."
"""The commit message of a version that is deleted again: the server numbers versions itself."""


def score_configs(one: Import, rows: Iterator[Row]) -> None:
    """Make the configs that are not there; `archive_configs` archives, when all scores have come."""
    there = one.remote.pages("score-configs")
    for row in sorted(rows, key=lambda config: str(config["createdAt"])):
        wanted = _definition(row)
        found = next((config for config in there if _definition(config) == wanted), None)
        if found:
            there.remove(found)
            one.configs[row["id"]] = found
            continue
        with one.each(f"score config {row['name']}"):
            body = {name: value for name, value in wanted.items() if value not in (None, "", [])}
            one.configs[row["id"]] = one.remote.post("score-configs", body)
            one.count("score_configs")


def archive_configs(one: Import) -> None:
    """Archive the configs that are: before that the server would refuse scores with them."""
    for row in one.rows("score_configs"):
        found = one.configs.get(row["id"])
        if found and _true(row.get("isArchived")) and not found["isArchived"]:
            with one.each(f"score config {row['name']}"):
                one.remote.patch(f"score-configs/{segment(found['id'])}", {"isArchived": True})


def _definition(row: Row) -> Row:
    # A boolean config has categories that nobody chose.
    categories = (parsed(row.get("categories")) or []) if row["dataType"] == "CATEGORICAL" else []
    return {
        "name": row["name"],
        "dataType": row["dataType"],
        "description": row.get("description") or "",
        "minValue": _number(row.get("minValue")),
        "maxValue": _number(row.get("maxValue")),
        "categories": [{"label": one["label"], "value": float(one["value"])} for one in categories],
    }


def _number(value: object) -> float | None:
    return None if value is None else float(str(value))


def _true(value: object) -> bool:
    return str(value).lower() == "true"


def models(one: Import, rows: Iterator[Row]) -> None:
    """Make the models of the project that are not there by name and begin."""
    pages = one.remote.pages("models")
    there = {(row["modelName"], row.get("startDate")) for row in pages if not row["isLangfuseManaged"]}
    for row in rows:
        if (row["modelName"], row.get("startDate")) in there:
            continue
        names = ("modelName", "matchPattern", "startDate", "unit", "tokenizerId")
        body = {name: row[name] for name in names if row.get(name)}
        if config := parsed(row.get("tokenizerConfig")):
            body["tokenizerConfig"] = config
        fields = ("name", "isDefault", "priority", "conditions", "prices")
        tiers = [{name: tier[name] for name in fields} for tier in parsed(row.get("pricingTiers")) or []]
        if tiers:
            body["pricingTiers"] = tiers
        elif prices := parsed(row.get("prices")):
            for kind in ("input", "output", "total"):
                if kind in prices:
                    body[f"{kind}Price"] = prices[kind]["price"]
        with one.each(f"model {row['modelName']}"):
            one.remote.post("models", body)
            one.count("models")


def prompts(one: Import, rows: Iterator[Row]) -> None:
    """Make the versions of prompts that are not there, with their numbers."""
    for name, of_name in groupby(rows, key=lambda row: str(row["name"])):
        there: list[int] = []
        with one.each(f"prompt {name}"):
            listed = one.remote.get("v2/prompts", name=name, limit=100)["data"]
            there = next((row["versions"] for row in listed if row["name"] == name), [])
        wanted = {int(row["version"]): row for row in of_name}
        for number in range(max(there, default=0) + 1, max(wanted) + 1):
            row = wanted.get(number)
            with one.each(f"version {number} of prompt {name}"):
                one.remote.post("v2/prompts", _version(row) if row else _hole(name, wanted))
                if row:
                    one.count("prompts")
        for number in sorted({*there, *range(1, max(wanted))} - set(wanted)):
            with one.each(f"version {number} of prompt {name}"):
                _delete_hole(one, name, number)


def _version(row: Row) -> Row:
    body = {
        "name": row["name"],
        "type": row["type"],
        "prompt": json_value(row["prompt"]),
        "config": parsed(row.get("config")) or {},
        "labels": [label for label in parsed(row.get("labels")) or [] if label != "latest"],
        "tags": parsed(row.get("tags")) or [],
    }
    return {**body, **({"commitMessage": row["commitMessage"]} if row.get("commitMessage") else {})}


def _hole(name: str, wanted: dict[int, Row]) -> Row:
    """Return a version that stands in for one that was deleted; tags belong to the whole prompt."""
    row = next(iter(wanted.values()))
    prompt: object = _HOLE if row["type"] == "text" else [{"role": "system", "content": _HOLE}]
    tags = parsed(row.get("tags")) or []
    return {"name": name, "type": row["type"], "prompt": prompt, "tags": tags, "commitMessage": _HOLE}


def _delete_hole(one: Import, name: str, number: int) -> None:
    path = f"v2/prompts/{segment(name)}"
    found = one.remote.get(path, version=number, resolve="false", also=(404,))
    if found and found.get("commitMessage") == _HOLE:
        one.remote.delete(f"{path}?version={number}")


def annotation_queues(one: Import, rows: Iterator[Row]) -> None:
    """Make the queues that are not there by name."""
    there = {row["name"]: row["id"] for row in one.remote.pages("annotation-queues")}
    for row in rows:
        if row["name"] not in there:
            with one.each(f"annotation queue {row['name']}"):
                configs = [
                    one.configs[known]["id"]
                    for known in parsed(row["scoreConfigIds"])
                    if known in one.configs
                ]
                body = {"name": row["name"], "description": row.get("description"), "scoreConfigIds": configs}
                there[row["name"]] = one.remote.post("annotation-queues", body)["id"]
                one.count("annotation_queues")
        if row["name"] in there:
            one.queues[row["id"]] = there[row["name"]]


def annotation_items(one: Import, rows: Iterator[Row]) -> None:
    """Put what is not there into the queues, the oldest first, and complete what was."""
    for queue, of_queue in groupby(rows, key=lambda row: str(row["queueId"])):
        if queue not in one.queues:
            continue
        path = f"annotation-queues/{segment(one.queues[queue])}/items"
        there = {(row["objectType"], row["objectId"]): row for row in one.remote.pages(path)}
        for row in sorted(of_queue, key=lambda item: str(item["createdAt"])):
            found = there.get((row["objectType"], row["objectId"]))
            with one.each(f"{row['objectType'].lower()} {row['objectId']} in queue {row['queueName']}"):
                if not found:
                    body = {name: row[name] for name in ("objectId", "objectType", "status")}
                    found = there[row["objectType"], row["objectId"]] = one.remote.post(path, body)
                    one.count("annotation_items")
                if found["status"] != row["status"]:
                    one.remote.patch(f"{path}/{segment(found['id'])}", {"status": row["status"]})
