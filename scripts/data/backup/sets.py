"""The parts of a set, how large they are, and room for them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.core import host
from scripts.engines.base import MIB

from .errors import BackupError
from .manifest import KINDS, Contents

STORES, SETTINGS, CONFIG, CREDENTIALS = "stores", "env", "config", "credentials"
"""The parts of a set."""


_SPARE_BYTES = 64 * MIB


def require_space(directory: Path, needed: int) -> None:
    """Raise BackupError when a directory has no room for `needed` bytes and a little more."""
    free, needed = host.free_bytes(directory), needed + _SPARE_BYTES
    if free < needed:
        raise BackupError(
            f"{directory} has {size_text(free)} free; {size_text(needed)} are needed. Nothing was changed.",
            fix="free some space, or move STACK_DIR or BACKUP_REPOSITORY to a larger disk.",
        )


@contextmanager
def staged(directory: Path) -> Iterator[None]:
    """Give an empty directory that is gone at the end; what a crash has left there goes first."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True, mode=0o700)
    try:
        yield
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def content_text(contents: Contents) -> str:
    """Return what contents consist of in a few words."""
    return ", ".join(f"{contents.amount(kind):,} {kind}" for kind in KINDS)


def size_text(count: int) -> str:
    """Return a size in the unit that fits: `3.4 MiB`."""
    size, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
