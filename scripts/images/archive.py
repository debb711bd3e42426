"""A file with the images of a stack, for a host that reaches no registry.

It is what `docker save` writes, and at its end a member of ours with the SHA-256 of every other member and
what the images are. A file whose name ends with `.zst` is compressed. `docker load` reads both, without
checking anything.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import zstandard

from scripts.core.errors import StackError

if TYPE_CHECKING:
    from io import BufferedReader

MANIFEST = "langfuse-stack-images.json"
COMPRESSED = ".zst"
# Images of 1.9 GB: 0.7 GB after 13 s of a processor; gzip's quickest level makes 0.8 GB in 32 s.
_LEVEL = 3


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is in an archive.

    Attributes:
        images: id of each image by reference, where they were saved.
        contents: their contents, by which they are known wherever they are loaded; empty in older files.
        platform: of the images, such as `linux/amd64`.
        members: SHA-256 of each file of the archive.
    """

    images: Mapping[str, str]
    platform: str
    members: Mapping[str, str]
    contents: Mapping[str, str] = field(default_factory=dict)


def seal(
    path: Path, images: Mapping[str, str], platform: str, contents: Mapping[str, str] | None = None
) -> Manifest:
    """Add checksums to what `docker save` has written; return them."""
    digests, _ = _read(path)
    manifest = Manifest(images, platform, digests, contents or {})
    content = json.dumps(asdict(manifest), indent=1, sort_keys=True).encode()
    entry = tarfile.TarInfo(MANIFEST)
    entry.size = len(content)
    with tarfile.open(path, "a:") as archive:
        archive.addfile(entry, io.BytesIO(content))
    return manifest


def compress(path: Path, into: Path) -> None:
    """Write a file compressed to another one, on all processors."""
    compressor = zstandard.ZstdCompressor(level=_LEVEL, threads=-1)
    with path.open("rb") as plain, into.open("wb") as packed:
        compressor.copy_stream(plain, packed, size=path.stat().st_size)


def verify(path: Path) -> Manifest:
    """Return the manifest of an archive in which every member is as it was saved.

    Raises:
        StackError: it is cut off, damaged, or was not made by `make images-save`.
    """
    found, content = _read(path)
    if content is None:
        raise StackError(
            f"{path} has no checksums: it was cut off on its way, or not made by make images-save.",
            fix="copy it once more and compare its size, or save it again.",
        )
    document = json.loads(content)
    manifest = Manifest(
        document["images"], document["platform"], document["members"], document.get("contents", {})
    )
    differing = sorted(
        name
        for name in found.keys() | manifest.members.keys()
        if found.get(name) != manifest.members.get(name)
    )
    if differing:
        raise StackError(
            f"{path} is damaged: {len(differing)} of {len(manifest.members)} files in it differ.",
            details=differing[:5],
            fix="copy it once more; nothing was loaded.",
        )
    return manifest


def _read(path: Path) -> tuple[dict[str, str], bytes | None]:
    """Return the SHA-256 of every file in an archive, and our own member of it, if it is there."""
    digests, ours = {}, None
    try:
        with _plain(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                content = cast("BufferedReader", archive.extractfile(member)) if member.isfile() else None
                if content and member.name == MANIFEST:
                    ours = content.read()
                elif content:
                    digests[member.name] = hashlib.file_digest(content, "sha256").hexdigest()
    except (OSError, tarfile.TarError, zstandard.ZstdError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise StackError(
            f"{path} cannot be read: {reason}.", fix="name a file of make images-save."
        ) from error
    return digests, ours


@contextmanager
def _plain(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as file:
        if path.suffix == COMPRESSED:
            with zstandard.ZstdDecompressor().stream_reader(file) as reader:
                yield reader
        else:
            yield file
