"""Buckets of a compose stack as files: what a backup mirrors from the object store, and puts back into it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from scripts.core.layout import write_private
from scripts.stores.s3 import Bucket, Content, NoSuchObject, StoredObject

INDEX = "index.jsonl"
_THREADS = 8
_AT_ONCE = 500


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
    with ThreadPoolExecutor(_THREADS) as pool:
        copied = sorted(pool.map(lambda one: _copy(bucket, one, into), objects), key=lambda one: one.key)
    write_private(into / INDEX, index_text(copied))
    return copied


def update(bucket: Bucket, objects: Iterable[StoredObject], into: Path) -> list[Mirrored]:
    """Bring a mirror to what there is: copy what it lacks or has in another size, let go of all else.

    Return what was copied. One that is deleted meanwhile is left out.

    Raises:
        StackError: the object store fails; what was copied until then is in the mirror.
    """
    into.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = {one.key: one for one in objects}
    known = {
        one.key: one
        for one in read_index(into)
        if one.key in found and found[one.key].bytes == one.bytes and (into / one.file).exists()
    }
    write_private(into / INDEX, index_text(known.values()))
    wanted = [found[key] for key in sorted(found.keys() - known.keys())]
    copied: list[Mirrored] = []
    with ThreadPoolExecutor(_THREADS) as pool, (into / INDEX).open("a", encoding="utf-8") as index:
        for begin in range(0, len(wanted), _AT_ONCE):
            some = wanted[begin : begin + _AT_ONCE]
            fresh = list(filter(None, pool.map(lambda one: _copy_if_there(bucket, one, into), some)))
            index.write(index_text(fresh))
            index.flush()
            copied += fresh
    files = {one.file for one in (*known.values(), *copied)}
    for path in into.glob("??/*"):
        if path.relative_to(into).as_posix() not in files:
            path.unlink()
    return copied


def index_text(objects: Iterable[Mirrored]) -> str:
    """Return the index of a mirror."""
    return "".join(json.dumps(asdict(one)) + "\n" for one in objects)


def _copy_if_there(bucket: Bucket, found: StoredObject, into: Path) -> Mirrored | None:
    try:
        return _copy(bucket, found, into)
    except NoSuchObject:
        return None


def _copy(bucket: Bucket, found: StoredObject, into: Path) -> Mirrored:
    target = Mirrored(found.key, found.bytes, "", "")
    path = into / target.file
    path.parent.mkdir(exist_ok=True, mode=0o700)
    content = bucket.save(found.key, path)
    return Mirrored(found.key, path.stat().st_size, content.content_type, content.sha256)


def read_index(mirrored: Path) -> list[Mirrored]:
    """Return what a mirror holds; nothing where there is none."""
    try:
        text = (mirrored / INDEX).read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    # A kill may have cut the last line.
    return [Mirrored(**json.loads(line)) for line in text.splitlines(keepends=True) if line.endswith("\n")]


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


def differences(bucket: Bucket, mirrored: Iterable[Mirrored]) -> list[str]:
    """Return which objects of a mirror the bucket has with other content, a line each.

    Raises:
        StackError: the object store fails, or has one of them not at all.
    """

    def difference(one: Mirrored) -> str:
        same = hashlib.sha256(bucket.get(one.key)).hexdigest() == one.sha256
        return "" if same else f"the object {one.key} has other content than in the backup"

    with ThreadPoolExecutor(_THREADS) as pool:
        return list(filter(None, pool.map(difference, mirrored)))


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
