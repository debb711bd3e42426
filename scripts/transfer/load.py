"""`import`: load an export into a project of any server. Ids stay: a repeated call changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from scripts.core.context import Context
from scripts.core.errors import EXIT_OK, UsageError

from .export import remote_of
from .files import damaged_parts, load_manifest, read_part
from .kinds import KINDS
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
                        if part.path.startswith(f"{kind}/"):
                            _LOADERS[kind](remote, read_part(source / part.path))
            written.append((kind.replace("_", " "), f"{rows:,}"))
    context.console.rows(written)
    return EXIT_OK


def _observations(remote: Remote, rows: Iterator[Row]) -> None:
    while batch := list(islice(rows, _SPANS)):
        remote.post("otel/v1/traces", export_of(batch))


def _scores(remote: Remote, rows: Iterator[Row]) -> None:
    for row in rows:
        remote.post("scores", _score(row))


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
    metadata = parsed(row.get("metadata"))
    return {**body, **target, "value": value, **({"metadata": metadata} if metadata else {})}


def _datasets(remote: Remote, rows: Iterator[Row]) -> None:
    for row in rows:
        body = {"name": row["name"], "description": row.get("description")}
        for name in ("metadata", "inputSchema", "expectedOutputSchema"):
            body[name] = parsed(row.get(name))
        remote.post("v2/datasets", {name: value for name, value in body.items() if value is not None})


def _dataset_items(remote: Remote, rows: Iterator[Row]) -> None:
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


_LOADERS: dict[str, Callable[[Remote, Iterator[Row]], None]] = {
    "observations": _observations,
    "scores": _scores,
    "datasets": _datasets,
    "dataset_items": _dataset_items,
}
