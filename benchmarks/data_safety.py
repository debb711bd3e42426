"""How long backups, restores and exports of the embedded engine take, and how large they are: one table.

    python -m benchmarks.data_safety [--spans 1000000]

A stack of its own in a temporary directory, filled with the load of `benchmarks/load.py`; the commands run as
an operator runs them, restic included. Peak memory is that of the export's own process.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import psutil
from rich.console import Console
from rich.table import Table

from scripts.data.backup import verify
from scripts.settings.envfile import read_env
from tests.embedded.backups import Stack, stack_in
from tests.embedded.harness import REPOSITORY

from .load import SPANS_PER_EXPORT, TRACES_PATH, export


def main() -> None:
    """Fill a stack, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spans", type=int, default=1_000_000)
    spans = parser.parse_args().spans
    table = Table("what", "seconds", "size", "bytes per observation")
    with tempfile.TemporaryDirectory(prefix="langfuse-stack-bench-") as name:
        stack = stack_in(Path(name) / "stack")
        stack.up()
        try:
            measure(stack, spans, Path(name), table)
        finally:
            stack.stop()
    Console().print(table)


def measure(stack: Stack, spans: int, directory: Path, table: Table) -> None:
    """Add a row for each command."""

    def row(what: str, seconds: float, size: int = 0) -> None:
        sizes = (f"{size / 2**20:.0f} MiB", f"{size / spans:.0f}") if size else ("", "")
        table.add_row(what, f"{seconds:.1f}", *sizes)

    row("fill", timed(lambda: fill(stack, spans)), size_of(stack.layout.embedded_dir))
    row("backup", timed(stack.back_up), size_of(stack.repository_dir))
    before = size_of(stack.repository_dir)
    row("second backup", timed(stack.back_up), size_of(stack.repository_dir) - before)
    row("backup-verify", timed(lambda: verify.backup_verify(stack.context, backup="latest", read_all=False)))
    for file_format in ("parquet", "jsonl"):
        target = directory / file_format
        began = time.monotonic()
        peak = export_in_a_process(stack, target, file_format)
        row(f"export, {file_format} (peak {peak / 2**20:.0f} MiB)", time.monotonic() - began, size_of(target))
    password = read_env(stack.layout.env_file).values()["BACKUP_PASSWORD"]
    stack.lose_everything()
    row("restore on an empty host", timed(stack.with_environment(BACKUP_PASSWORD=password).restore))


def timed(action: Callable[[], object]) -> float:
    """Return how many seconds an action takes."""
    began = time.monotonic()
    action()
    return time.monotonic() - began


def fill(stack: Stack, spans: int) -> None:
    """Write spans in exports of the usual size."""
    random = Random(7)
    with stack.client() as client:
        for _ in range(spans // SPANS_PER_EXPORT):
            body = export(random, SPANS_PER_EXPORT // 5).body
            headers = {"content-type": "application/x-protobuf"}
            client.post(TRACES_PATH, content=body, headers=headers).raise_for_status()


def export_in_a_process(stack: Stack, target: Path, file_format: str) -> int:
    """Export all observations; return the peak memory in bytes."""
    keys = read_env(stack.layout.credentials_dir / "kosmos.env").values()
    argv = [sys.executable, "-m", "scripts", "export", "--into", str(target), "--format", file_format]
    argv += ["--base-url", f"http://127.0.0.1:{stack.context.environment['LANGFUSE_PORT']}"]
    process = subprocess.Popen([*argv, "--kinds", "observations"], cwd=REPOSITORY, env={**os.environ, **keys})
    peak = 0
    watched = psutil.Process(process.pid)
    while process.poll() is None:
        try:
            peak = max(peak, watched.memory_info().rss)
        except psutil.Error:
            break
        time.sleep(0.05)
    assert process.wait() == 0
    return peak


def size_of(directory: Path) -> int:
    """Return the bytes of all files below a directory."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


if __name__ == "__main__":
    main()
