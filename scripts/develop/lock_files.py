"""The files that pin Python packages."""

from __future__ import annotations

from pathlib import Path

LOCK_FILES = ("requirements/*.lock", "embedded/requirements.lock", "rehearsal/*/requirements.lock")


def lock_files(root: Path) -> list[Path]:
    """Return every Python lock file of the repository at `root`."""
    return sorted(path for pattern in LOCK_FILES for path in root.glob(pattern))
