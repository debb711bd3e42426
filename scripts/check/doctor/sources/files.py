"""Who may read the files with secrets, and whether version control knows them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts.check.doctor.facts import Facts, Surroundings
from scripts.core.errors import StackError


@dataclass(frozen=True, slots=True)
class PrivateFile:
    """A file or directory that only its owner should be able to read.

    Attributes:
        path: as a person would type it.
        mode: permission bits.
        mine: whether it belongs to whoever runs this.
    """

    path: str
    mode: int
    mine: bool

    @property
    def open_to_others(self) -> bool:
        """Whether anyone but the owner may read or change it."""
        return bool(self.mode & 0o077)


@dataclass(frozen=True, slots=True)
class Files:
    """The private files that are there.

    Attributes:
        env: `.env`; None when there is none.
        credentials: the directory of credentials and what is in it.
        data: directories with data and their parents below `.stack`.
        tracked: private files that are in version control.
        writable: whether the directory of the stack can be written.
        oldest_retiring_days: age of the oldest key that another has replaced; None: there is none.
    """

    env: PrivateFile | None
    credentials: tuple[PrivateFile, ...]
    data: tuple[PrivateFile, ...]
    tracked: tuple[str, ...]
    writable: bool
    oldest_retiring_days: float | None


def gather_files(surroundings: Surroundings, _facts: Facts) -> Files:
    """Return the modes and owners of private files."""
    layout = surroundings.context.layout

    def private(paths: Iterator[Path]) -> tuple[PrivateFile, ...]:
        return tuple(_private(path, layout.shown(path)) for path in sorted(paths))

    stack = layout.stack_dir
    data = (path for path in (stack, layout.embedded_dir, layout.embedded_log.parent) if path.exists())
    return Files(
        env=_private(layout.env_file, layout.shown(layout.env_file)) if layout.env_file.exists() else None,
        credentials=private(credential_paths(layout.credentials_dir)),
        data=private(data),
        tracked=_tracked(surroundings),
        writable=os.access(stack if stack.exists() else layout.root, os.W_OK),
        oldest_retiring_days=_oldest_days(layout.credentials_dir, surroundings.now.timestamp()),
    )


def credential_paths(directory: Path) -> Iterator[Path]:
    """Yield the directory of credentials and all below it, if it is there."""
    if directory.is_dir():
        yield directory
        yield from directory.rglob("*")


def _private(path: Path, shown: str) -> PrivateFile:
    found = path.stat()
    return PrivateFile(shown, stat.S_IMODE(found.st_mode), found.st_uid == os.getuid())


def _tracked(surroundings: Surroundings) -> tuple[str, ...]:
    layout = surroundings.context.layout
    private = [layout.env_file, layout.root / ".env.langfuse", layout.stack_dir]
    inside = [layout.shown(path) for path in private if path.is_relative_to(layout.root)]
    argv = ["git", "-C", str(layout.root), "ls-files", "--", *inside]
    try:
        done = surroundings.context.runner.run(argv, timeout_s=2)
    except StackError:
        return ()
    return tuple(done.stdout.split()) if done.returncode == 0 else ()


def _oldest_days(directory: Path, now: float) -> float | None:
    ages = [now - path.stat().st_mtime for path in directory.rglob("*.env.retiring")]
    return max(ages) / 86_400 if ages else None
