"""Run the exporter beside an engine, as users do: a process with a directory of credentials."""

from __future__ import annotations

import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from .harness import REPOSITORY, Keys

# A busy machine takes its time to start a process.
TIMEOUT_S = 60.0
Labels = dict[str, str]
IN_ROOT = (
    "import sys; from pathlib import Path; from scripts.cli import app; "
    "from scripts.engines import execution; execution.ROOT = Path(sys.argv.pop(1)); app()"
)


def write_keys(directory: Path, keys: Iterable[Keys]) -> None:
    """Write credentials files as `make up` does."""
    directory.mkdir(parents=True, exist_ok=True)
    for key in keys:
        (directory / f"{key.project_id}.env").write_text(
            f"LANGFUSE_PUBLIC_KEY={key.public_key}\nLANGFUSE_SECRET_KEY={key.secret_key}\n"
        )


@dataclass
class RunningExporter:
    """One exporter process.

    Attributes:
        root: a directory of its own, in the place of the repository.
    """

    root: Path
    base_url: str
    keys: Iterable[Keys]
    alerts: str
    environment: dict[str, str] = field(default_factory=dict)
    url: str = ""

    def start(self) -> RunningExporter:
        """Start it and wait until it answers."""
        (self.root / "config").mkdir(parents=True, exist_ok=True)
        (self.root / "config" / "alerts.yaml").write_text(self.alerts)
        write_keys(self.root / ".stack" / "credentials", self.keys)
        self._log = (self.root / "exporter.log").open("a")
        self.process = subprocess.Popen(
            [sys.executable, "-c", IN_ROOT, str(self.root), "exporter"],
            cwd=REPOSITORY,
            env={
                "PATH": os.environ["PATH"],
                "EXPORTER_LANGFUSE_URL": self.base_url,
                "EXPORTER_PORT": str(free_port()),
                "EXPORTER_INTERVAL_S": "1",
                "CANARY_INTERVAL_S": "1",
                "CANARY_DEADLINE_S": "2",
                **self.environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self.url = self._announced()
        return self

    def metrics(self) -> dict[str, list[tuple[Labels, float]]]:
        """Return all samples by name."""
        return parsed(httpx.get(f"{self.url}/metrics", timeout=10).raise_for_status().text)

    def value(self, name: str, **labels: str) -> float | None:
        """Return the value of the one sample that has these labels, or None."""
        found = [value for own, value in self.metrics().get(name, []) if labels.items() <= own.items()]
        assert len(found) <= 1, (name, labels, found)
        return found[0] if found else None

    def stop(self) -> int:
        """Stop it with SIGTERM; return the exit code."""
        self.process.terminate()
        try:
            return self.process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            if self.process.stdout:
                self.process.stdout.close()
            self._log.close()

    def log(self) -> str:
        """Return what it wrote to its standard error."""
        return (self.root / "exporter.log").read_text()

    def _announced(self) -> str:
        lines: queue.Queue[str] = queue.Queue()
        stdout = self.process.stdout
        assert stdout is not None
        threading.Thread(target=lambda: lines.put(stdout.readline()), daemon=True).start()
        try:
            line = lines.get(timeout=TIMEOUT_S)
        except queue.Empty:
            line = ""
        assert line.startswith("listening on "), f"the exporter did not start:\n{self.log()}"
        return line.removeprefix("listening on ").strip()


def parsed(text: str) -> dict[str, list[tuple[Labels, float]]]:
    """Return the samples of an exposition by name."""
    result: dict[str, list[tuple[Labels, float]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            result.setdefault(sample.name, []).append((dict(sample.labels), sample.value))
    return result


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
