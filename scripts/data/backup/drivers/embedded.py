"""The stores of the embedded engine: one data directory, which the engine itself copies and describes."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.core.layout import Layout
from scripts.core.runner import Runner
from scripts.core.waiting import tail
from scripts.data.backup.errors import BackupError
from scripts.data.backup.manifest import Contents, Manifest, parse_contents
from scripts.engines.embedded import MODULE, EmbeddedEngine
from scripts.engines.embedded_schema import JUDGE
from scripts.settings.values import Settings

from .base import Captured, Exchange

_TIMEOUT_S = 4 * 3600.0

_OF_JUDGES = (JUDGE, f"{JUDGE}-wal", f"{JUDGE}-shm")
# The logs of a database and what is derived from it belong to it.
_FILES = {
    "events": (
        *("events.db", "events.db-wal", "events.db-shm", "metrics.duckdb", "metrics.duckdb.wal"),
        *_OF_JUDGES,
    ),
    "state": ("state.db", "state.db-wal", "state.db-shm"),
    "media": ("media",),
}


@dataclass(frozen=True, slots=True)
class EmbeddedDriver:
    """See Driver."""

    layout: Layout
    settings: Settings
    environment: Mapping[str, str]
    runner: Runner
    engine: EmbeddedEngine

    def size(self) -> int:
        return sum(path.stat().st_size for path in self.layout.embedded_dir.rglob("*") if path.is_file())

    def has_data(self) -> bool:
        return (self.layout.embedded_dir / "state.db").exists()

    def obstacles(self) -> Sequence[str]:
        return []

    def capture(self, into: Path) -> Captured:
        data = str(self.layout.embedded_dir)
        contents = parse_contents(self._engine("snapshot", "--data-dir", data, "--into", str(into)))
        return Captured(contents, "all databases as of one moment; media files never change")

    def newer(self, manifest: Manifest) -> Sequence[str]:
        known = self.known_schema()
        return [
            f"{name} has schema {level}, this version knows {known.get(name, 0)}"
            for name, level in manifest.contents.schema.items()
            if level > known.get(name, 0)
        ]

    def known_schema(self) -> Mapping[str, int]:
        """Return the newest migration level of each database that this version can use."""
        levels: Mapping[str, int] = self._engine("schema")
        return levels

    def places(self) -> Sequence[str]:
        return ()

    def refusals(self, manifest: Manifest, only: Sequence[str]) -> Sequence[str]:
        return ()

    def describe(self, capture: Path) -> Contents:
        return parse_contents(self._engine("describe", "--check", "--data-dir", str(capture)))

    @property
    def stores(self) -> Mapping[str, frozenset[str]]:
        return {
            "events": frozenset({"trace", "score"}),
            "state": frozenset({"prompt", "dataset_item", "llm_connection"}),
            "media": frozenset(),
        }

    def replacements(self, capture: Path, only: Sequence[str]) -> Sequence[tuple[Path, Path]]:
        place = self.layout.embedded_dir
        if not only:
            return [(capture, place)]
        return [(capture / name, place / name) for store in only for name in _FILES[store]]

    def exchange(self, capture: Path, work: Path, only: Sequence[str]) -> Exchange | None:
        return None

    def unfinished(self, work: Path) -> Exchange | None:
        return None

    def start_to_read(self) -> None:
        """See Driver. Without what judges have to do: a restored copy must ask no model."""
        for name in _OF_JUDGES:
            (self.layout.embedded_dir / name).unlink(missing_ok=True)
        self.engine.start({})

    def settle(self, capture: Path) -> int:
        return 0

    def discard(self) -> None:
        """See Driver. The directory of the throw-away stack goes with everything in it."""
        self.engine.stop()

    def _engine(self, *arguments: str) -> Any:
        argv = [sys.executable, "-m", MODULE, *arguments]
        done = self.runner.run(argv, env=self.environment, timeout_s=_TIMEOUT_S)
        if done.returncode != 0:
            raise BackupError(
                f"The embedded engine could not {arguments[0]} its data.",
                details=tail(done.stderr),
                fix="correct what the lines name, then repeat.",
            )
        return json.loads(done.stdout)
