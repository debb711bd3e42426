"""The server's side of `tasks.py`: starts the process for the first task, and again when it has ended."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import orjson

from .child_process import start_child
from .http.errors import ApiError, TooCostly, Unavailable
from .store.writer.client import FrameConnection
from .store.writer.protocol import TOO_COSTLY, Frame, encode

log = logging.getLogger(__name__)

_MOST_WAITING = 50
_STOP_SECONDS = 2.0
# Each task ends, by force if need be, within 20 s: a process that says nothing for longer hangs.
_SILENT_SECONDS = 30.0


class TaskClient:
    """Runs tasks of `tasks.TASKS`. A project has one at work at a time and a limited number waiting."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._process: subprocess.Popen[bytes] | None = None
        self._transport: asyncio.Transport | None = None
        self._starting = asyncio.Lock()
        self._numbers = 0
        self._asked: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._waiting: Counter[str] = Counter()
        self._silence: asyncio.TimerHandle | None = None

    async def run(self, owner: str, task: str, *arguments: Any, what: str) -> Any:
        """Return the result of a task. `what` it does begins the message when that costs too much.

        Raises:
            TooCostly: it takes more than a client may ask for.
            Unavailable: too many wait, or the process ended; the client may try again.
        """
        if self._waiting[owner] >= _MOST_WAITING:
            raise Unavailable("The engine is busy with what this project asked for. Send again.")
        self._waiting[owner] += 1
        try:
            head = await self._answer(owner, task, orjson.dumps(arguments))
        finally:
            self._waiting[owner] -= 1
            if not self._waiting[owner]:
                del self._waiting[owner]
        if "result" in head:
            return head["result"]
        if head["error"] == TOO_COSTLY:
            raise TooCostly(f"{what} {head['message']}")
        raise ApiError(head["message"])

    async def _answer(self, owner: str, task: str, body: bytes) -> dict[str, Any]:
        async with self._starting:
            transport = self._transport or await self._start()
        self._numbers += 1
        number = self._numbers
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._asked[number] = future
        if len(self._asked) == 1:
            self._listen()
        transport.write(encode(number, {"owner": owner, "task": task}, body))
        try:
            return await future
        finally:
            self._asked.pop(number, None)

    async def _start(self) -> asyncio.Transport:
        self._process, ours = start_child("langfuse_embedded.tasks", self._data_dir)
        self._transport, _ = await asyncio.get_running_loop().create_connection(
            lambda: FrameConnection(self._on_frame, self._on_lost), sock=ours
        )
        return self._transport

    async def close(self) -> None:
        """End the process, whatever it does."""
        if self._silence is not None:
            self._silence.cancel()
        if self._transport is not None:
            self._transport.close()
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(process.wait, _STOP_SECONDS)
            process.kill()
            process.wait()

    def _listen(self) -> None:
        """Begin to wait for a sign of life, as long as something is asked."""
        if self._silence is not None:
            self._silence.cancel()
        loop = asyncio.get_running_loop()
        self._silence = loop.call_later(_SILENT_SECONDS, self._end_silent) if self._asked else None

    def _end_silent(self) -> None:
        if self._asked and self._process is not None:
            log.error("the process for tasks has not answered for %d s: it is ended", _SILENT_SECONDS)
            self._process.kill()

    def _on_frame(self, frame: Frame) -> None:
        self._listen()
        future = self._asked.get(frame.number)
        if future is not None and not future.done():
            future.set_result(frame.head)

    def _on_lost(self) -> None:
        self._transport = None
        for future in self._asked.values():
            if not future.done():
                future.set_exception(Unavailable("A process of the engine ended: send again."))
        if self._process is not None:
            self._process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_SECONDS)
