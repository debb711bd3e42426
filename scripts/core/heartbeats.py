"""Jobs leave a mark when they succeed, so that monitoring notices when they stop succeeding.

The mark of the job `backup` is the modification time of `.stack/heartbeats/backup`.
"""

from __future__ import annotations

from pathlib import Path

from .layout import Layout


def heartbeats_dir(layout: Layout) -> Path:
    """Return where the marks are."""
    return layout.stack_dir / "heartbeats"


def record_success(layout: Layout, job: str) -> None:
    """Mark that the job has succeeded now."""
    directory = heartbeats_dir(layout)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / job).touch()


def last_successes(directory: Path) -> dict[str, float]:
    """Return when each job succeeded last, in seconds since 1970."""
    if not directory.is_dir():
        return {}
    return {path.name: path.stat().st_mtime for path in sorted(directory.iterdir()) if path.is_file()}
