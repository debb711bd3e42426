"""A file with the images of a stack, for a host that reaches no registry.

It is what `docker save` writes, and at its end a member of ours with the SHA-256 of every other member and
the ids of the images. `docker load` reads it too, without checking anything.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from scripts.core.errors import StackError

MANIFEST = "langfuse-stack-images.json"
_CHUNK = 2**20


@dataclass(frozen=True, slots=True)
class Manifest:
    """What stands in an archive.

    Attributes:
        images: id of each image by reference.
        platform: of the images, such as `linux/amd64`.
        members: SHA-256 of each file of the archive.
    """

    images: Mapping[str, str]
    platform: str
    members: Mapping[str, str]


def seal(path: Path, images: Mapping[str, str], platform: str) -> Manifest:
    """Add checksums to what `docker save` has written; return them."""
    manifest = Manifest(images, platform, _digests(path))
    content = json.dumps(asdict(manifest), indent=1, sort_keys=True).encode()
    entry = tarfile.TarInfo(MANIFEST)
    entry.size = len(content)
    with tarfile.open(path, "a:") as archive:
        archive.addfile(entry, io.BytesIO(content))
    return manifest


def verify(path: Path) -> Manifest:
    """Return the manifest of an archive in which every member is as it was saved.

    Raises:
        StackError: it is cut off, damaged, or was not made by `make images-save`.
    """
    found = _digests(path)
    if MANIFEST not in found:
        raise StackError(
            f"{path} has no checksums: it was cut off on its way, or not made by make images-save.",
            fix="copy it once more and compare its size, or save it again.",
        )
    with tarfile.open(path, "r:") as archive:
        member = archive.extractfile(MANIFEST)
        document = json.load(member) if member else {}
    manifest = Manifest(document["images"], document["platform"], document["members"])
    del found[MANIFEST]
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


def _digests(path: Path) -> dict[str, str]:
    """Return the SHA-256 of every file in an archive."""
    digests = {}
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isfile() else None
                if content:
                    digests[member.name] = _sha256(content)
    except (OSError, tarfile.TarError) as error:
        raise StackError(
            f"{path} cannot be read: {error}.", fix="name a file of make images-save."
        ) from error
    return digests


def _sha256(content: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := content.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()
