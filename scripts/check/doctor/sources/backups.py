"""Backups: the marks that jobs leave, the repository, and what interrupted ones left behind."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.check.doctor.facts import Facts, Surroundings
from scripts.core.errors import StackError
from scripts.core.heartbeats import heartbeats_dir, last_successes
from scripts.data.backup.errors import NoRepository
from scripts.data.backup.repository import open_repository
from scripts.docker.pause import Rest, read_rest


@dataclass(frozen=True, slots=True)
class Backups:
    """What is known of backups.

    Attributes:
        location: of the repository.
        ages_h: job -> hours since it succeeded last.
        repository: `open`, `absent`, or why it cannot be used.
        restic: whether the program is there.
        count: how many backups there are; 0 when it cannot be used.
        same_disk: whether the repository is on the file system of the data.
        unfinished_restore: whether a killed restore waits to be put back.
        rest: the worker that a backup has stopped, or None.
        left: directories that interrupted work left below `.stack`.
    """

    location: str
    ages_h: Mapping[str, float]
    repository: str
    restic: bool
    count: int
    same_disk: bool
    unfinished_restore: bool
    rest: Rest | None
    left: tuple[str, ...]


def gather_backups(surroundings: Surroundings, _facts: Facts) -> Backups:
    """Return what is known of backups."""
    context, layout = surroundings.context, surroundings.context.layout
    now = surroundings.now.timestamp()
    marks = last_successes(heartbeats_dir(layout))
    location = surroundings.settings.get("BACKUP_REPOSITORY")
    folder = None if ":" in location else layout.root / location
    state, count = _repository(surroundings, folder)
    return Backups(
        location=location,
        ages_h={job: (now - moment) / 3600 for job, moment in marks.items()},
        repository=state,
        restic=shutil.which("restic", path=context.environment.get("PATH")) is not None,
        count=count,
        same_disk=folder is not None and folder.exists() and _device(folder) == _device(layout.stack_dir),
        unfinished_restore=layout.restore_journal.exists(),
        rest=read_rest(layout),
        left=tuple(str(path) for path in leftovers(layout.stack_dir)),
    )


def leftovers(stack_dir: Path) -> list[Path]:
    """Return directories that a killed backup or its verification left; nothing reads them."""
    return sorted(stack_dir.glob("verify-*")) if stack_dir.exists() else []


def _repository(surroundings: Surroundings, folder: Path | None) -> tuple[str, int]:
    if folder is not None and not folder.exists():
        return "absent", 0
    try:
        repository = open_repository(surroundings.context, surroundings.settings)
        return "open", len(repository.snapshots())
    except NoRepository:
        return "absent", 0
    except StackError as error:
        return error.message, 0


def _device(path: Path) -> int:
    while not path.exists():
        path = path.parent
    return path.stat().st_dev
