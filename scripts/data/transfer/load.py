"""`import`: load an export into a project of any server. Ids stay, and what is there is not sent again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from scripts.api.client import Api, Row, segment
from scripts.api.errors import ObjectRefused
from scripts.core.errors import EXIT_OK, EXIT_WARNINGS, UsageError
from scripts.core.waiting import Look, wait_until
from scripts.engines.context import Context

from .files import Manifest, damaged_parts, load_manifest, read_part
from .journal import Journal
from .kinds import KINDS
from .media import FILES, upload
from .remote import TransferError, observations_of, project_id, remote_of
from .spans import export_of, parsed

_SPANS = 200
_SCORES = 100
_TRACES = 100
"""Traces in a filter: the server runs into limits of its URL above that."""
_READABLE_S = 300.0
"""For how long an import waits until what it sent can be read. A worker takes seconds."""


@dataclass(slots=True)
class Import:
    """One run: where it goes, and what it has sent.

    Attributes:
        sent: rows that were not there, by kind.
        refused: what the server did not take, and why.
        left_out: comments on what is not there, as an export with filters has them.
    """

    remote: Api
    source: Path
    journal: Journal
    sent: dict[str, int] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    _unreadable: set[tuple[str, str]] = field(default_factory=set)

    def missing(self, rows: Sequence[Row]) -> list[Row]:
        """Return the observations that are not there, without those that were refused."""
        found = missing_observations(self.remote, rows)
        return [row for row in found if (row["traceId"], row["id"]) not in self._unreadable]

    def refuse_observation(self, row: Row, why: str) -> None:
        """Note an observation that the server does not take."""
        self._unreadable.add((row["traceId"], row["id"]))
        self.refused.append(f"observation {row['id']}: {why}")

    @contextmanager
    def each(self, what: str) -> Iterator[None]:
        """Go on when the server does not take one thing."""
        try:
            yield
        except ObjectRefused as error:
            reason = " ".join([error.message, *error.details])
            self.refused.append(f"{what[:120]}: {reason[:300]}")

    def count(self, kind: str, rows: int = 1) -> None:
        """Note that rows were sent."""
        self.sent[kind] = self.sent.get(kind, 0) + rows
        self.journal.note_sent()


def run(context: Context, *, project: str, base_url: str, source: Path, dry_run: bool) -> int:
    """The command. Checks all files before it writes anything."""
    manifest = load_manifest(source)
    if manifest is None:
        raise UsageError(f"{source} is not an export: it has no manifest.json.", fix="make export INTO=...")
    unfinished = {part.path.split("/")[0] for part in manifest.parts} - set(manifest.complete)
    problems = [*damaged_parts(source, manifest), *(f"{kind} is not complete" for kind in sorted(unfinished))]
    if problems:
        raise TransferError(
            f"{source} cannot be imported; nothing was written.",
            details=problems[:20],
            fix="export again into a new directory.",
        )
    with remote_of(context, project, base_url) as remote:
        target = project_id(remote)
        context.console.note(f"From project {manifest.project} into project {target} at {remote.base_url}")
        rows = {kind: _rows(manifest, kind) for kind in KINDS}
        one = Import(remote, source, Journal.of(source, remote.base_url, target))
        if not dry_run:
            if one.journal.unsettled_s():
                with context.console.working("Waiting for what an interrupted import has sent"):
                    one.journal.settle()
            for kind in filter(rows.get, KINDS):
                with context.console.working(f"Importing {rows[kind]:,} {kind.replace('_', ' ')}"):
                    for path in _parts(source, manifest, kind):
                        _LOADERS[kind](one, read_part(path))
                if kind == "observations" and one.sent.get(kind):
                    # Comments are refused before.
                    with context.console.working("Waiting until all observations can be read"):
                        wait_until_readable(one, manifest)
            one.journal.close()
    context.console.rows(
        [
            (
                kind.replace("_", " "),
                f"{count:,}" if dry_run else f"{count:,}, of which {one.sent.get(kind, 0):,} were not there",
            )
            for kind, count in rows.items()
        ]
    )
    if one.refused:
        raise TransferError(
            f"{len(one.refused)} things were refused; all others are there.",
            details=one.refused[:20],
            fix="correct them on the server or leave them: a repeated import sends only what is missing.",
        )
    for line in one.left_out:
        context.console.warn(f"Left out: {line}")
    return EXIT_WARNINGS if one.left_out else EXIT_OK


def wait_until_readable(one: Import, manifest: Manifest) -> None:
    """Return when every observation of the export can be read: from then on a repeated import sends none.

    Raises:
        StackError: some cannot be read in time.
    """
    batches = [
        batch
        for path in _parts(one.source, manifest, "observations")
        for batch in _batches(
            (
                {"id": row["id"], "traceId": row["traceId"], "startTime": row["startTime"]}
                for row in read_part(path)
            ),
            _SPANS,
        )
    ]

    def look() -> Look:
        while batches and not one.missing(batches[-1]):
            batches.pop()
        return Look(done=not batches, state=f"about {len(batches) * _SPANS:,} observations are not there yet")

    wait_until(
        look,
        what="Not all observations can be read",
        timeout_s=_READABLE_S,
        last_lines=list,
        fix="look at the worker of that server, wait, then repeat: only what is missing is sent.",
        interval_s=1,
    )


def missing_observations(remote: Api, rows: Sequence[Row]) -> list[Row]:
    """Return the rows whose observation the server does not have."""
    times = sorted(row["startTime"] for row in rows)
    window = {"fromStartTime": _moved(times[0], -1), "toStartTime": _moved(times[-1], 1)}
    there: set[tuple[str, str]] = set()
    traces = sorted({row["traceId"] for row in rows})
    for begin in range(0, len(traces), _TRACES):
        for page in observations_of(remote, traces[begin : begin + _TRACES], **window):
            there.update((row["traceId"], row["id"]) for row in page)
    return [row for row in rows if (row["traceId"], row["id"]) not in there]


def _moved(moment: str, seconds: int) -> str:
    found = datetime.fromisoformat(moment) + timedelta(seconds=seconds)
    return found.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _rows(manifest: Manifest, kind: str) -> int:
    return sum(part.rows for part in manifest.parts if part.path.startswith(f"{kind}/"))


def _parts(source: Path, manifest: Manifest, kind: str) -> list[Path]:
    return [
        source / part.path
        for part in manifest.parts
        if part.path.startswith(f"{kind}/") and not part.path.startswith(FILES)
    ]


def _batches(rows: Iterator[Row], size: int) -> Iterator[list[Row]]:
    while batch := list(islice(rows, size)):
        yield batch


def _observations(one: Import, rows: Iterator[Row]) -> None:
    for batch in _batches(rows, _SPANS):
        missing = missing_observations(one.remote, batch)
        if missing:
            _send(one, missing)


def _send(one: Import, rows: Sequence[Row]) -> None:
    """Send observations; where the server refuses them as a whole, find the ones that it refuses."""
    try:
        one.remote.post("otel/v1/traces", export_of(rows))
    except ObjectRefused as error:
        if len(rows) == 1:
            one.refuse_observation(rows[0], error.message)
            return
        for half in (rows[: len(rows) // 2], rows[len(rows) // 2 :]):
            _send(one, half)
    else:
        one.count("observations", len(rows))


def _scores(one: Import, rows: Iterator[Row]) -> None:
    # As events: their time is that of the score, which the route for single scores does not take.
    for some in _batches(rows, _SCORES):
        ids = ",".join(row["id"] for row in some if "," not in row["id"])
        there = one.remote.get("v3/scores", id=ids, limit=_SCORES)["data"] if ids else []
        known = {row["id"] for row in there}
        events = [
            {"id": row["id"], "type": "score-create", "timestamp": row["timestamp"], "body": _score(row)}
            for row in some
            if row["id"] not in known
        ]
        if not events:
            continue
        errors = one.remote.post("ingestion", {"batch": events})["errors"]
        one.refused += [f"score {row['id']}: {row.get('error') or row.get('message')}" for row in errors]
        one.count("scores", len(events) - len(errors))


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


def _prompts(one: Import, rows: Iterator[Row]) -> None:
    for name, of_name in groupby(rows, key=lambda row: str(row["name"])):
        there = 0
        with one.each(f"prompt {name}"):
            listed = one.remote.get("v2/prompts", name=name, limit=100)["data"]
            there = next((len(row["versions"]) for row in listed if row["name"] == name), 0)
        # In the order of the versions, so that numbers stay where none was deleted.
        for row in sorted(of_name, key=lambda version: int(version["version"]))[there:]:
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
            with one.each(f"version {row['version']} of prompt {name}"):
                one.remote.post("v2/prompts", body)
                one.count("prompts")


def _comments(one: Import, rows: Iterator[Row]) -> None:
    project = project_id(one.remote)
    for row in rows:
        target = {"objectType": row["objectType"], "objectId": row["objectId"]}
        if row["objectType"] == "PROMPT":  # a prompt has another id elsewhere
            continue
        with one.each(f"comment {row['id']}"):
            pages = one.remote.by_number("comments", {**target, "limit": 100})
            if any(there["content"] == row["content"] for page in pages for there in page):
                continue
            body = {"projectId": project, **target, "content": row["content"]}
            if one.remote.post("comments", body, also=(404,)) is None:
                place = f"{row['objectType'].lower()} {row['objectId']}"
                one.left_out.append(f"a comment on {place}, which is not there")
            else:
                one.count("comments")


def _media(one: Import, rows: Iterator[Row]) -> None:
    for row in rows:
        changed = {}
        with one.each(f"medium {row['id']}"):
            if row.get("datasetItemId"):  # its dataset has another id elsewhere
                item = one.remote.get(f"dataset-items/{segment(str(row['datasetItemId']))}")
                changed = {"datasetId": item["datasetId"]}
            if upload(one.remote, one.source, {**row, **changed}):
                one.count("media")


def _datasets(one: Import, rows: Iterator[Row]) -> None:
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


def _dataset_items(one: Import, rows: Iterator[Row]) -> None:
    for row in rows:
        names = ("id", "datasetName", "status", "sourceTraceId", "sourceObservationId")
        body = {name: row[name] for name in names if row.get(name)}
        for name in ("input", "expectedOutput", "metadata"):
            if row.get(name) is not None:
                body[name] = _json_value(row[name])
        # Each write makes a new version of the item.
        with one.each(f"dataset item {row['id']}"):
            there = one.remote.get(f"dataset-items/{segment(str(row['id']))}", also=(404,))
            if not _has(there, body):
                one.remote.post("dataset-items", body)
                one.count("dataset_items")


def _has(there: Any, wanted: Row) -> bool:
    return there is not None and all(there.get(name) == value for name, value in wanted.items())


def _json_value(value: Any) -> Any:
    """Return a value; a table holds it as JSON, and a text that is no JSON is itself."""
    found = parsed(value)
    return value if found is None else found


_LOADERS: dict[str, Callable[[Import, Iterator[Row]], None]] = {
    "prompts": _prompts,
    "observations": _observations,
    "scores": _scores,
    "datasets": _datasets,
    "dataset_items": _dataset_items,
    "comments": _comments,
    "media": _media,
}
