"""The directory that a move goes through: what it holds, and where."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from scripts.core.errors import UsageError
from scripts.data.backup.manifest import NAME, Manifest, file_differences, list_files, parse_manifest


@dataclass(frozen=True, slots=True)
class MoveSet:
    """The copy of a stack on its way. Not encrypted, readable for its owner alone."""

    root: Path

    @property
    def objects(self) -> Path:
        """Copies of the buckets."""
        return self.root / "objects"

    @property
    def rows(self) -> Path:
        """The copy of ClickHouse."""
        return self.root / "clickhouse"

    @property
    def last(self) -> Path:
        """Databases, settings and keys: the set of a backup, without objects."""
        return self.root / "last"

    @property
    def spans(self) -> Path:
        """What came in after the databases were dumped."""
        return self.root / "spans"

    @property
    def env(self) -> Path:
        """The `.env` of the old stack."""
        return self.root / "env"

    @property
    def size(self) -> int:
        """The bytes of its files."""
        return sum(path.stat().st_size for path in self.root.rglob("*") if path.is_file())

    @property
    def dumped(self) -> str:
        """When the dump that is here was begun, or an empty string."""
        manifest = self._manifest()
        return manifest.started if manifest else ""

    def make(self) -> None:
        """Make the directory, private.

        Raises:
            UsageError: it has other things in it.
        """
        if self.root.exists() and any(self.root.iterdir()) and not self.env.exists():
            raise UsageError(
                f"{self.root} is not empty, and not the directory of a move; nothing was changed.",
                fix="name a new directory.",
            )
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)

    def manifest(self) -> Manifest | None:
        """Return what the databases hold, checked file by file; None where they were not dumped yet.

        Raises:
            BackupError: it cannot be read.
            UsageError: a file of it is missing or has other content.
        """
        manifest = self._manifest()
        if manifest is None:
            return None
        if problems := file_differences(manifest.files, list_files(self.last)):
            raise UsageError(
                f"{self.last} is not what the old stack wrote; nothing was changed.",
                details=problems[:20],
                fix="copy the directory again, whole.",
            )
        return manifest

    def _manifest(self) -> Manifest | None:
        try:
            return parse_manifest((self.last / NAME).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None

    def forget_databases(self) -> None:
        """Remove the dumps, and the secrets with them."""
        shutil.rmtree(self.last, ignore_errors=True)

    def remove(self) -> None:
        """Remove it."""
        shutil.rmtree(self.root, ignore_errors=True)
