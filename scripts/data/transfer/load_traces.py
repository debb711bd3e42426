"""Observations, experiments, scores, comments and media of an export."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scripts.api.client import Row, segment
from scripts.api.errors import ObjectRefused

from .importing import Import, batches, missing_observations
from .media import upload
from .remote import project_id
from .spans import export_of, parsed

SPANS = 200
"""Observations that are sent at a time."""
_SCORES = 100
# https://github.com/langfuse/langfuse/blob/v4.16.0/packages/shared/src/server/otel/attributes.ts
_EXPERIMENT = {
    "id": "experimentId",
    "name": "experimentName",
    "description": "experimentDescription",
    "item.id": "experimentItemId",
    "item.version": "experimentItemVersion",
    "item.root_observation_id": "id",
    "item.expected_output": "expectedOutput",
}
_EXPERIMENT_METADATA = {"metadata": "experimentMetadata", "item.metadata": "experimentItemMetadata"}


def observations(one: Import, rows: Iterator[Row]) -> None:
    """Send the observations that are not there."""
    experiments = _experiments(one)
    for batch in batches(rows, SPANS):
        missing = missing_observations(one.remote, batch)
        if missing:
            _send(one, missing, experiments)


def _send(one: Import, rows: Sequence[Row], experiments: Mapping[str, Row]) -> None:
    """Send observations; where the server refuses them as a whole, find the ones that it refuses."""
    try:
        one.remote.post("otel/v1/traces", export_of(rows, experiments))
    except ObjectRefused as error:
        if len(rows) == 1:
            one.refuse_observation(rows[0], error.message)
            return
        for half in (rows[: len(rows) // 2], rows[len(rows) // 2 :]):
            _send(one, half, experiments)
    else:
        one.count("observations", len(rows))


def _experiments(one: Import) -> dict[str, Row]:
    """Return the attributes that the observations of a trace need to be an item of an experiment again."""
    known = {row["id"]: str(row["name"]) for row in one.rows("datasets")}
    there: dict[str, str] = {}
    found: dict[str, list[Row]] = defaultdict(list)
    for row in one.rows("experiment_items"):
        found[row["traceId"]].append(row)
    attributes = {}
    for trace, items in found.items():
        row = items[0]
        if len(items) > 1:
            one.left_out.append(
                f"trace {trace} as an item of {len(items) - 1} further experiments: it can be in one"
            )
        values = {
            f"langfuse.experiment.{key}": row[name] for key, name in _EXPERIMENT.items() if row.get(name)
        }
        for key, name in _EXPERIMENT_METADATA.items():
            if metadata := parsed(row.get(name)):
                values[f"langfuse.experiment.{key}"] = json.dumps(metadata)
        if row.get("experimentDatasetId"):
            values["langfuse.experiment.dataset.id"] = _dataset_there(one, row, known, there)
        attributes[trace] = values
    return attributes


def _dataset_there(one: Import, row: Row, known: Mapping[str, str], there: dict[str, str]) -> str:
    """Return the id of the dataset of an experiment; that of the export where there is none of its name."""
    old = str(row["experimentDatasetId"])
    if old not in there:
        name = known.get(old)
        found = one.remote.get(f"v2/datasets/{segment(name)}", also=(404,)) if name else None
        there[old] = found["id"] if found else old
    return there[old]


def scores(one: Import, rows: Iterator[Row]) -> None:
    """Send the scores that are not there, as events: their time is that of the score.

    The route for single scores does not take a time.
    """
    for some in batches(rows, _SCORES):
        ids = ",".join(row["id"] for row in some if "," not in row["id"])
        there = one.remote.get("v3/scores", id=ids, limit=_SCORES)["data"] if ids else []
        known = {row["id"] for row in there}
        events = [
            {"id": row["id"], "type": "score-create", "timestamp": row["timestamp"], "body": _score(one, row)}
            for row in some
            if row["id"] not in known
        ]
        if not events:
            continue
        errors = one.remote.post("ingestion", {"batch": events})["errors"]
        one.refused += [f"score {row['id']}: {row.get('error') or row.get('message')}" for row in errors]
        one.count("scores", len(events) - len(errors))


def _score(one: Import, row: Row) -> Row:
    subject = parsed(row["subject"])
    target = {
        "observation": {"traceId": subject.get("traceId"), "observationId": subject["id"]},
        "trace": {"traceId": subject["id"]},
        "session": {"sessionId": subject["id"]},
        "experiment": {"datasetRunId": subject["id"]},
    }[subject["kind"]]
    value: Any = row["value"]
    as_json = parsed(value)  # a table holds it as JSON
    if as_json is not None and (row["dataType"] in ("NUMERIC", "BOOLEAN") or isinstance(as_json, str)):
        value = as_json
    if row["dataType"] == "BOOLEAN":
        value = int(value)
    body = {name: row[name] for name in ("id", "name", "environment", "dataType", "comment") if row.get(name)}
    config = one.configs.get(str(row.get("configId")))
    if config and _fits(config, row, value):
        body["configId"] = config["id"]
    if row.get("source") == "EVAL" or (row.get("source") == "ANNOTATION" and _may_be_annotation(body)):
        body["source"] = row["source"]
    if row.get("queueId") in one.queues:
        body["queueId"] = one.queues[row["queueId"]]
    metadata = parsed(row.get("metadata"))
    return {**body, **target, "value": value, **({"metadata": metadata} if metadata else {})}


def _may_be_annotation(body: Row) -> bool:
    """Return whether the server takes a score as one of a person: it needs a config, a correction none."""
    return "configId" in body or body.get("dataType") == "CORRECTION"


def _fits(config: Row, row: Row, value: Any) -> bool:
    """Return whether the config still allows the score, which may be older than what it says now.

    The worker of the server drops others without a word (validateAndInflateScore.ts at v4.16.0).
    """
    if config["isArchived"] or config["name"] != row["name"] or config["dataType"] != row["dataType"]:
        return False
    if row["dataType"] == "NUMERIC":
        low, high = config.get("minValue"), config.get("maxValue")
        return (low is None or value >= low) and (high is None or value <= high)
    if row["dataType"] == "CATEGORICAL":
        return value in {one["label"] for one in config.get("categories") or ()}
    return True


def comments(one: Import, rows: Iterator[Row]) -> None:
    """Write the comments that are not there."""
    project = project_id(one.remote)
    versions: dict[str, tuple[str, int]] = {}
    for row in rows:
        with one.each(f"comment {row['id']}"):
            place = f"{row['objectType'].lower()} {row['objectId']}"
            target = {"objectType": row["objectType"], "objectId": row["objectId"]}
            if row["objectType"] == "PROMPT":  # a prompt has another id there
                versions = versions or {
                    str(one_version.get("id")): (str(one_version["name"]), int(one_version["version"]))
                    for one_version in one.rows("prompts")
                }
                known = versions.get(row["objectId"])
                there = known and one.remote.get(
                    f"v2/prompts/{segment(known[0])}", version=known[1], resolve="false", also=(404,)
                )
                if not there:
                    one.left_out.append(f"a comment on {place}, which is not there")
                    continue
                target["objectId"] = there["id"]
            pages = one.remote.by_number("comments", {**target, "limit": 100})
            if any(comment["content"] == row["content"] for page in pages for comment in page):
                continue
            body = {"projectId": project, **target, "content": row["content"]}
            if one.remote.post("comments", body, also=(404,)) is None:
                one.left_out.append(f"a comment on {place}, which is not there")
            else:
                one.count("comments")


def media(one: Import, rows: Iterator[Row]) -> None:
    """Upload the media that are not there."""
    for row in rows:
        changed = {}
        with one.each(f"medium {row['id']}"):
            if row.get("datasetItemId"):  # its dataset has another id elsewhere
                item = one.remote.get(f"dataset-items/{segment(str(row['datasetItemId']))}")
                changed = {"datasetId": item["datasetId"]}
            if upload(one.remote, one.source, {**row, **changed}):
                one.count("media")
