"""Buckets of a compose stack as files: what a backup mirrors from the object store, and puts back into it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from scripts.core.layout import write_private
from scripts.stores.s3 import Bucket, Content, StoredObject

INDEX = "index.jsonl"
_THREADS = 8


@dataclass(frozen=True, slots=True)
class Mirrored:
    """An object of a mirror; its bytes are in a file that is named by its key's hash."""

    key: str
    bytes: int
    content_type: str
    sha256: str

    @property
    def file(self) -> str:
        """Path of the file within the mirror: a key may be no file name."""
        name = hashlib.sha256(self.key.encode()).hexdigest()
        return f"{name[:2]}/{name}"


def mirror(bucket: Bucket, objects: Iterable[StoredObject], into: Path) -> list[Mirrored]:
    """Copy objects into a directory with an index; one that is deleted meanwhile is left out.

    Raises:
        StackError: the object store fails.
    """
    into.mkdir(parents=True, mode=0o700)

    def copy(found: StoredObject) -> Mirrored:
        target = Mirrored(found.key, found.bytes, "", "")
        path = into / target.file
        path.parent.mkdir(exist_ok=True, mode=0o700)
        content = bucket.save(found.key, path)
        return Mirrored(found.key, path.stat().st_size, content.content_type, content.sha256)

    with ThreadPoolExecutor(_THREADS) as pool:
        copied = sorted(pool.map(copy, objects), key=lambda one: one.key)
    write_private(into / INDEX, "".join(json.dumps(asdict(one)) + "\n" for one in copied))
    return copied


def read_index(mirrored: Path) -> list[Mirrored]:
    """Return what a mirror holds; nothing where there is none."""
    try:
        text = (mirrored / INDEX).read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    return [Mirrored(**json.loads(line)) for line in text.splitlines()]


def put_back(bucket: Bucket, mirrored: Path, added: Callable[[str], None]) -> None:
    """Write what the bucket lacks, or has in another size; `added` hears of each new key first.

    Raises:
        StackError: the object store fails.
    """
    present = {found.key: found.bytes for found in bucket.objects()}
    for one in read_index(mirrored):
        if present.get(one.key) == one.bytes:
            continue
        if one.key not in present:
            added(one.key)
        bucket.put_file(one.key, mirrored / one.file, Content(one.content_type, one.sha256))


def differences(bucket: Bucket, mirrored: Path) -> list[str]:
    """Return which objects of a mirror the bucket has not, or with other content, a line each."""
    lines = []
    for one in read_index(mirrored):
        digest = hashlib.sha256(bucket.get(one.key)).hexdigest()
        if digest != one.sha256:
            lines.append(f"the object {one.key} has other content than in the backup")
    return lines


def by_project(objects: Iterable[Mirrored], segment: int) -> dict[str, int]:
    """Return how many objects each project has, which is the given segment of a key."""
    counts: dict[str, int] = {}
    for one in objects:
        project = one.key.split("/")[segment]
        counts[project] = counts.get(project, 0) + 1
    return counts


def total_bytes(objects: Iterable[StoredObject]) -> int:
    """Return the sizes of all objects together."""
    return sum(found.bytes for found in objects)
