"""Bring the built-in models up to date, in a process of its own that ends when it is done.

The price library costs 0.3 s and 40 MB to load, which neither the server nor the writer should pay. The
process starts with the server, finds out whether the installed list is newer than the one in `state.db` or a
price of it has changed since, and writes it if so.
"""

from __future__ import annotations

import contextlib
import os
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from langfuse_embedded.errors import EngineError
from langfuse_embedded.process_tree import end_with_parent

from .database import open_database
from .models import Models

if TYPE_CHECKING:
    import subprocess

_STOP_SECONDS = 5.0


class PriceListUpdate:
    """The process that brings the price list in the database at `path` up to date, while it runs."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process; nothing waits for it but an event that needs the very first list."""
        # The process itself runs this module too, and should not import what only its parent needs.
        import subprocess
        import threading

        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(self._path), str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        # Collects the ended process at once; it would stay a zombie until the engine stops.
        threading.Thread(target=self._process.wait, daemon=True).start()

    async def ready(self, models: Models) -> None:
        """Wait for the very first list; afterwards there always is one."""
        import asyncio

        process = self._process
        if process is not None and not models.price_list()[0]:
            await asyncio.to_thread(process.wait)

    def stop(self) -> None:
        """End the process if it still runs: the next start does its work."""
        import subprocess

        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def update(path: Path, today: date) -> bool:
    """Write the installed price list with the prices of `today`; return whether that was necessary.

    Raises:
        DataDirectoryError: the database cannot be written.
    """
    from langfuse_embedded.pricing.builtin import builtin_models, price_list_version

    with contextlib.closing(open_database(path)) as connection:
        models = Models(connection)
        installed, (version, valid_until) = price_list_version(), models.price_list()
        if version == installed and (not valid_until or today.isoformat() < valid_until):
            return False
        found, next_change = builtin_models(today)
        models.replace_builtin(found, installed, next_change)
    return True


def main() -> int:
    """Update the database that the first argument names; return the exit code."""
    try:
        update(Path(sys.argv[1]), datetime.now(UTC).date())
    except EngineError as error:
        print(f"the price list was not updated: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    os.umask(0o077)
    end_with_parent(int(sys.argv[2]))
    sys.exit(main())
