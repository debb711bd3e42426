"""Lists of SHA-256 for `sha256sum --check`."""

from __future__ import annotations

import hashlib
from pathlib import Path

_BLOCK = 1024 * 1024


def checksums(directory: Path) -> str:
    """Return a line for `sha256sum --check` for each file in a directory, sorted by name."""
    paths = sorted(path for path in directory.rglob("*") if path.is_file())
    return "".join(f"{_sha256(path)}  {path.relative_to(directory).as_posix()}\n" for path in paths)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
