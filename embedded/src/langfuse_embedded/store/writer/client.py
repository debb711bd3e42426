"""The server's side of the writer: starts the process, sends commands, tells apart what went wrong."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from langfuse_embedded.errors import DataDirectoryError, DirectoryInUse, EngineError, NewerData, WriterDied

from .process import WriterProcess
from .protocol import (
    FAILED,
    GREETING,
    PING,
    REFUSED,
    TOO_COSTLY,
    UNAVAILABLE,
    Frame,
    FrameBuffer,
    encode,
    encode_head,
)

log = logging.getLogger(__name__)

_START_TIMEOUT = 20.0
# A writer that dies again and again has a cause that a further start does not remove.
_MAX_RESTARTS = 5
_RESTART_WINDOW = 60.0
# A living writer answers a ping within milliseconds, behind a slow disk within seconds.
_UNRESPONSIVE_PULSES = 3
_HUNG_PULSES = 20
_START_ERRORS = {error.__name__: error for error in (DataDirectoryError, DirectoryInUse, NewerData)}


class CommandError(Exception):
    """A command was not carried out; nothing of it is stored. The text is for the client."""


class CommandRefused(CommandError):
    """The command does not accept its input."""


class CommandTooCostly(CommandRefused):
    """Carrying the command out takes more than one client may ask for; some of it may be stored."""


class WriterUnavailable(CommandError):
    """The data cannot be written now (disk, permissions, a restart, too much in flight): try again later."""


class FrameConnection(asyncio.Protocol):
    """Frames over the socket. `received` gets each, `lost` is called once at the end."""

    def __init__(self, received: Callable[[Frame], None], lost: Callable[[], None]) -> None:
        self._received, self._lost = received, lost
        self._buffer = FrameBuffer()

    def data_received(self, data: bytes) -> None:
        self._buffer.feed(data)
        for frame in self._buffer.frames():
            self._received(frame)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost()


class WriterClient:
    """Sends commands to the writer. The answer comes when the command's effect is on disk.

    `gave_up` is called when the process died so often that starting it again makes no sense. `process` is one
    that was started already; without it `open` starts one.
    """

    def __init__(
        self, data_dir: Path, gave_up: Callable[[], None], process: WriterProcess | None = None
    ) -> None:
        self._data_dir = data_dir
        self._gave_up = gave_up
        self._process = process
        self._transport: asyncio.Transport | None = None
        self._numbers = GREETING
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._restarts: deque[float] = deque(maxlen=_MAX_RESTARTS)
        self._restarting: asyncio.Task[None] | None = None
        self._ready = False
        # Pulses since the writer last said anything, and the number of the ping that it has still to answer.
        self._silent = 0
        self._ping: int | None = None
        self.committed: Callable[[], None] = lambda: None
        """Called after every command that was carried out."""
        self.refused: Callable[[str], None] = lambda _message: None
        """Called with the text when the store did not take a command."""

    async def open(self) -> None:
        """Wait until the writer is ready.

        Raises:
            DataDirectoryError: the writer cannot use `events.db`, and says why.
            WriterDied: it ended without a word, or does not answer.
        """
        process = self._process = self._process or WriterProcess(self._data_dir)
        loop = asyncio.get_running_loop()
        greeting: asyncio.Future[dict[str, Any]] = loop.create_future()
        self._waiting[GREETING] = greeting
        transport, _ = await loop.create_connection(
            lambda: FrameConnection(self._on_frame, self._on_lost), sock=process.socket
        )
        self._transport = transport
        try:
            head = await asyncio.wait_for(greeting, _START_TIMEOUT)
        except (TimeoutError, WriterUnavailable):
            process.child.kill()
            raise WriterDied(
                "The writer process did not start. Its messages are above; the data is as it was."
            ) from None
        self._ready = "result" in head
        if not self._ready:
            raise _START_ERRORS.get(head["error"], EngineError)(head["message"])

    @property
    def problem(self) -> str:
        """Why a write would not be answered now; empty when it would."""
        if self._transport is None or not self._ready:
            return "The engine's writer is restarting"
        if self._silent >= _UNRESPONSIVE_PULSES:
            return f"The engine's writer has not answered for {self._silent} s"
        return ""

    def pulse(self) -> None:
        """Ask the writer for a sign of life; end one that has given none for long. Call it once a second.

        Pulses are counted, not seconds: when this process itself was held up, the writer is not to blame. A
        writer that hangs or is stopped is killed and started again; whoever waits is told to send again.
        """
        if self._transport is None or not self._ready:
            self._silent, self._ping = 0, None
            return
        if self._ping is None:
            self._silent = 0
            self._numbers += 1
            self._ping = self._numbers
            self._transport.write(encode(self._ping, {"command": PING}))
            return
        self._silent += 1
        if self._silent == _HUNG_PULSES and self._process is not None:
            log.critical("the writer process has not answered for %d s: it is started again", self._silent)
            self._process.child.kill()

    async def submit(self, command: str, arguments: dict[str, Any], body: bytes = b"") -> Any:
        """Carry out a command of `commands.COMMANDS`; return its result once it is durable.

        Raises:
            CommandRefused: the command does not accept its input.
            WriterUnavailable: nothing was stored, or (when the writer died) it is not known: sending again is
                right in both cases.
            CommandError: a defect of the engine; nothing was stored.
        """
        if self._transport is None or self._transport.is_closing():
            raise WriterUnavailable("The engine's writer is restarting: send again.")
        self._numbers += 1
        number = self._numbers
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        self._transport.writelines((encode_head(number, {**arguments, "command": command}, len(body)), body))
        try:
            head = await future
        finally:
            self._waiting.pop(number, None)
        if "result" in head:
            self.committed()
            return head["result"]
        if head["error"] == UNAVAILABLE:
            self.refused(head["message"])
        kinds = {REFUSED: CommandRefused, TOO_COSTLY: CommandTooCostly, FAILED: CommandError}
        raise kinds.get(head["error"], WriterUnavailable)(head["message"])

    async def close(self) -> None:
        """Let the writer finish what it was sent, and wait for its end."""
        self._ready = False
        if self._restarting is not None:
            self._restarting.cancel()
        if self._transport is not None:
            self._transport.close()
        if self._process is not None:
            process, self._process = self._process, None
            process.socket.close()
            await asyncio.to_thread(process.wait)

    def _on_frame(self, frame: Frame) -> None:
        self._silent = 0
        if frame.number == self._ping:
            self._ping = None
        future = self._waiting.get(frame.number)
        if future is not None and not future.done():
            future.set_result(frame.head)

    def _on_lost(self) -> None:
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(WriterUnavailable("The engine's writer ended: send again."))
        self._transport = None
        self._silent, self._ping = 0, None
        if not self._ready or self._process is None:
            return
        self._ready = False
        code = self._process.child.poll()
        log.error("the writer process ended%s", "" if code is None else f" with code {code}")
        self._restarting = asyncio.get_running_loop().create_task(self._restart())

    async def _restart(self) -> None:
        while True:
            if self._process is not None:
                await asyncio.to_thread(self._process.wait)
                self._process = None
            now = time.monotonic()
            if len(self._restarts) == _MAX_RESTARTS and now - self._restarts[0] < _RESTART_WINDOW:
                log.critical(
                    "the writer process ended %d times within %d s: the engine stops",
                    _MAX_RESTARTS,
                    _RESTART_WINDOW,
                )
                self._gave_up()
                return
            self._restarts.append(now)
            try:
                await self.open()
            except WriterDied as error:
                log.error("%s", error)
            except EngineError as error:
                log.critical("the writer process cannot be started again: %s", error)
                self._gave_up()
                return
            else:
                log.warning("the writer process was started again")
                return
