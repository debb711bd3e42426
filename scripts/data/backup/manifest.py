"""The manifest of a backup: what is in it, what wrote it, and which keys it needs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from scripts.core.checksums import file_sha256

from .errors import BackupError

FORMAT = 1
NAME = "manifest.json"

KINDS: Mapping[str, tuple[str, ...]] = {
    "observations": ("observations", "clickhouse.events_full"),
    "scores": ("scores", "clickhouse.scores"),
    "prompts": ("prompts", "postgres.prompts"),
    "dataset items": ("dataset_items", "postgres.dataset_items"),
    "media": ("media", "postgres.media"),
}
"""What people ask for first, and its table on either engine."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of the set; `path` is relative to its root, size in bytes."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Sample:
    """Something that the API must give back after a restore, with facts about it."""

    kind: str
    project: str
    id: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Contents:
    """What the stores hold.

    Attributes:
        schema: migration level by database.
        counts: rows by table and project; the project is empty for tables that belong to none.
        samples: a few known things of each project.
    """

    schema: Mapping[str, int]
    counts: Mapping[str, Mapping[str, int]]
    samples: Sequence[Sample]

    def total(self, table: str) -> int:
        """Return the rows of a table."""
        return sum(self.counts.get(table, {}).values())

    def amount(self, kind: str) -> int:
        """Return how many there are of one of KINDS, whatever the engine calls the table."""
        return sum(map(self.total, KINDS[kind]))


@dataclass(frozen=True, slots=True)
class Manifest:
    """The description of one backup. Times are ISO 8601 in UTC.

    Attributes:
        consistency: in which sense the stores belong together.
        fingerprints: of the keys that the data needs; not the keys.
        images: by service, the image that it ran and the id of its content.
    """

    engine: str
    stack: str
    versions: Mapping[str, str]
    fingerprints: Mapping[str, str]
    started: str
    ended: str
    consistency: str
    contents: Contents
    files: Sequence[StoredFile]
    images: Mapping[str, str] = field(default_factory=dict)
    format: int = FORMAT

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(file.bytes for file in self.files)

    def text(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"


def parse_manifest(text: str) -> Manifest:
    """Return the manifest that a text holds.

    Raises:
        BackupError: it is none, or of a format that this version does not know.
    """
    try:
        document = json.loads(text)
        if document["format"] > FORMAT:
            raise BackupError(
                f"The backup has format {document['format']}; this version knows {FORMAT}.",
                fix="restore it with the version of this repository that made it, or a newer one.",
            )
        contents = parse_contents(document.pop("contents"))
        files = tuple(StoredFile(**file) for file in document.pop("files"))
        return Manifest(**document, contents=contents, files=files)
    except (ValueError, KeyError, TypeError) as error:
        raise BackupError(
            f"The manifest of the backup cannot be read ({type(error).__name__}: {error}).",
            fix="use another backup: make backups.",
        ) from error


def parse_contents(document: Mapping[str, Any]) -> Contents:
    """Return contents as an engine describes them in JSON."""
    samples = tuple(Sample(**sample) for sample in document["samples"])
    return Contents(document["schema"], document["counts"], samples)


def list_files(root: Path) -> tuple[StoredFile, ...]:
    """Return all files below a directory but the manifest, by path."""
    paths = sorted(path for path in root.rglob("*") if path.is_file() and path != root / NAME)
    return tuple(
        StoredFile(path.relative_to(root).as_posix(), path.stat().st_size, file_sha256(path))
        for path in paths
    )


def file_differences(expected: Iterable[StoredFile], found: Iterable[StoredFile]) -> list[str]:
    """Return what is missing, too much, or different, a line each."""
    wanted, present = ({file.path: file for file in files} for files in (expected, found))
    lines = [f"{path} is missing" for path in sorted(wanted.keys() - present.keys())]
    lines += [f"{path} does not belong to the backup" for path in sorted(present.keys() - wanted.keys())]
    for path in sorted(wanted.keys() & present.keys()):
        if wanted[path] != present[path]:
            lines.append(f"{path} has other content than when it was saved")
    return lines


def count_differences(expected: Contents, found: Contents) -> list[str]:
    """Return in which tables the rows differ, a line each."""
    lines = []
    for table in sorted(expected.counts.keys() | found.counts.keys()):
        was, is_now = expected.counts.get(table, {}), found.counts.get(table, {})
        for project in sorted(was.keys() | is_now.keys()):
            if was.get(project, 0) != is_now.get(project, 0):
                of = f" of {project}" if project else ""
                lines.append(
                    f"{table}{of}: {is_now.get(project, 0)} rows, {was.get(project, 0)} in the backup"
                )
    return lines
