"""The stores of the embedded engine: one data directory, which the engine itself copies and describes."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.backup.errors import BackupError
from scripts.backup.manifest import Contents, parse_contents
from scripts.core.engines.embedded import MODULE
from scripts.core.layout import Layout
from scripts.core.runner import Runner
from scripts.core.settings.values import Settings
from scripts.core.waiting import tail

_TIMEOUT_S = 4 * 3600.0


@dataclass(frozen=True, slots=True)
class EmbeddedDriver:
    """See Driver."""

    layout: Layout
    settings: Settings
    environment: Mapping[str, str]
    runner: Runner
    consistency: str = "all databases as of one moment; media files never change"

    def size(self) -> int:
        """See Driver."""
        return sum(path.stat().st_size for path in self.layout.embedded_dir.rglob("*") if path.is_file())

    def has_data(self) -> bool:
        """See Driver."""
        return (self.layout.embedded_dir / "state.db").exists()

    def capture(self, into: Path) -> Contents:
        """See Driver."""
        data = str(self.layout.embedded_dir)
        return parse_contents(self._engine("snapshot", "--data-dir", data, "--into", str(into)))

    def known_schema(self) -> Mapping[str, int]:
        """See Driver."""
        levels: Mapping[str, int] = self._engine("schema")
        return levels

    def describe(self, capture: Path) -> Contents:
        """See Driver."""
        return parse_contents(self._engine("describe", "--check", "--data-dir", str(capture)))

    def replacements(self, capture: Path) -> Sequence[tuple[Path, Path]]:
        """See Driver."""
        return [(capture, self.layout.embedded_dir)]

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
