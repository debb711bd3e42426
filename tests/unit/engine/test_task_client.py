"""The process for tasks: one that says nothing is ended, and whoever waits is told."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from langfuse_embedded import task_client
from langfuse_embedded.http.errors import Unavailable
from langfuse_embedded.task_client import TaskClient


async def _read(client: TaskClient, pattern: str) -> list[str]:
    found: list[str] = await client.run("acme", "pattern_errors", [(pattern, "postgres")], what="Reading it")
    return found


def test_a_process_that_hangs_is_ended_and_the_next_task_gets_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        client = TaskClient(tmp_path)
        try:
            assert await _read(client, "^a{1,2}$") == [""]
            assert await _read(client, "(") != [""]
            process = client._process
            assert process is not None
            os.kill(process.pid, signal.SIGSTOP)
            monkeypatch.setattr(task_client, "_SILENT_SECONDS", 0.2)
            with pytest.raises(Unavailable):
                await asyncio.wait_for(_read(client, "^a$"), 30)
            monkeypatch.undo()
            assert await _read(client, "^a$") == [""]
            assert client._process is not process
        finally:
            await client.close()

    asyncio.run(run())
