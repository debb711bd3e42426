"""`import`: load an export into a project of any server. Ids stay: a repeated call changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby, islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

from scripts.core.context import Context
from scripts.core.errors import EXIT_OK, UsageError

from .export import remote_of
from .files import damaged_parts, load_manifest, read_part
from .kinds import KINDS
from .media import FILES, upload
from .remote import Remote, Row, TransferError
from .spans import export_of, parsed

_SPANS = 200
_SCORES = 100


def run(context: Context, *, project: str, base_url: str, source: Path, dry_run: bool) -> int:
    """The verb. Checks all files before it writes anything."""
    manifest = load_manifest(source)
    if manifest is None:
        raise UsageError(f"{source} is no export: it has no manifest.json.", fix="make export INTO=...")
    unfinished = {part.path.split("/")[0] for part in manifest.parts} - set(manifest.complete)
    problems = [*damaged_parts(source, manifest), *(f"{kind} is not complete" for kind in sorted(unfinished))]
    if problems:
        raise TransferError(
            f"{source} cannot be imported; nothing was written.",
            details=problems[:20],
            fix="export again into a new directory.",
        )
    written: list[tuple[str, str]] = []
    with remote_of(context, project, base_url) as remote:
        target = remote.project_id()
        context.console.note(f"From project {manifest.project} into project {target} at {remote.base_url}")
        for kind in KINDS:
            rows = sum(part.rows for part in manifest.parts if part.path.startswith(f"{kind}/"))
            if rows and not dry_run:
                with context.console.working(f"Importing {rows:,} {kind.replace('_', ' ')}"):
                    for part in manifest.parts:
                        if part.path.startswith(f"{kind}/") and not part.path.startswith(FILES):
                            _LOADERS[kind](remote, read_part(source / part.path), source)
            written.append((kind.replace("_", " "), f"{rows:,}"))
    context.console.rows(written)
    return EXIT_OK


def _observations(remote: Remote, rows: Iterator[Row], _: Path) -> None:
    while batch := list(islice(rows, _SPANS)):
        remote.post("otel/v1/traces", export_of(batch))


def _scores(remote: Remote, rows: Iterator[Row], _: Path) -> None:
    # As events: their time is that of the score, which the route for single scores does not take.
    while some := list(islice(rows, _SCORES)):
        events = [
            {"id": row["id"], "type": "score-create", "timestamp": row["timestamp"], "body": _score(row)}
            for row in some
        ]
        errors = remote.post("ingestion", {"batch": events})["errors"]
        if errors:
            raise TransferError(
                f"{len(errors)} scores were refused.",
                details=[f"{one['id']}: {one.get('error') or one.get('message')}" for one in errors[:10]],
                fix="correct what it names, then repeat the command.",
            )


def _score(row: Row) -> Row:
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
    if row.get("source") == "EVAL":  # ANNOTATION would need the configuration, which has another id elsewhere
        body["source"] = "EVAL"
    metadata = parsed(row.get("metadata"))
    return {**body, **target, "value": value, **({"metadata": metadata} if metadata else {})}


def _prompts(remote: Remote, rows: Iterator[Row], _: Path) -> None:
    for name, of_name in groupby(rows, key=lambda row: str(row["name"])):
        listed = remote.get("v2/prompts", name=name, limit=100)["data"]
        there = next((len(row["versions"]) for row in listed if row["name"] == name), 0)
        # In the order of the versions, so that numbers stay where none was deleted.
        for row in sorted(of_name, key=lambda one: int(one["version"]))[there:]:
            labels = [label for label in parsed(row.get("labels")) or [] if label != "latest"]
            body = {
                "name": name,
                "type": row["type"],
                "prompt": _json_value(row["prompt"]),
                "config": parsed(row.get("config")) or {},
                "labels": labels,
                "tags": parsed(row.get("tags")) or [],
            }
            if row.get("commitMessage"):
                body["commitMessage"] = row["commitMessage"]
            remote.post("v2/prompts", body)


def _comments(remote: Remote, rows: Iterator[Row], _: Path) -> None:
    project = remote.project_id()
    for row in rows:
        target = {"objectType": row["objectType"], "objectId": row["objectId"]}
        if row["objectType"] == "PROMPT":  # a prompt has another id elsewhere
            continue
        pages = remote.by_number("comments", {**target, "limit": 100})
        if not any(one["content"] == row["content"] for page in pages for one in page):
            remote.post("comments", {"projectId": project, **target, "content": row["content"]})


def _media(remote: Remote, rows: Iterator[Row], source: Path) -> None:
    for row in rows:
        changed = {}
        if row.get("datasetItemId"):  # its dataset has another id elsewhere
            item = remote.get(f"dataset-items/{quote(str(row['datasetItemId']), safe='')}")
            changed = {"datasetId": item["datasetId"]}
        upload(remote, source, {**row, **changed})


def _datasets(remote: Remote, rows: Iterator[Row], _: Path) -> None:
    for row in rows:
        body = {"name": row["name"], "description": row.get("description")}
        for name in ("metadata", "inputSchema", "expectedOutputSchema"):
            body[name] = parsed(row.get(name))
        remote.post("v2/datasets", {name: value for name, value in body.items() if value is not None})


def _dataset_items(remote: Remote, rows: Iterator[Row], _: Path) -> None:
    for row in rows:
        names = ("id", "datasetName", "status", "sourceTraceId", "sourceObservationId")
        body = {name: row[name] for name in names if row.get(name)}
        for name in ("input", "expectedOutput", "metadata"):
            if row.get(name) is not None:
                body[name] = _json_value(row[name])
        remote.post("dataset-items", body)


def _json_value(value: Any) -> Any:
    """Return a value; a table holds it as JSON, and a text that is no JSON is itself."""
    found = parsed(value)
    return value if found is None else found


_LOADERS: dict[str, Callable[[Remote, Iterator[Row], Path], None]] = {
    "prompts": _prompts,
    "observations": _observations,
    "scores": _scores,
    "datasets": _datasets,
    "dataset_items": _dataset_items,
    "comments": _comments,
    "media": _media,
}
