"""SHA-256 of files, alone and in lists for `sha256sum --check`."""

from __future__ import annotations

import hashlib
from pathlib import Path


def checksums(directory: Path) -> str:
    """Return a line for `sha256sum --check` for each file in a directory, sorted by name."""
    paths = sorted(path for path in directory.rglob("*") if path.is_file())
    return "".join(f"{file_sha256(path)}  {path.relative_to(directory).as_posix()}\n" for path in paths)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
