"""Frames between the judge's process and the server's: both ends of one socket."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from langfuse_embedded.store.writer.client import FrameConnection
from langfuse_embedded.store.writer.protocol import GREETING, UNAVAILABLE, Frame, encode


class LinkLost(Exception):
    """The server's process is gone."""


class NotStored(Exception):
    """What was handed over is not stored; `later` tells whether it may be tried again."""

    def __init__(self, message: str, *, later: bool) -> None:
        super().__init__(message)
        self.later = later


class Link:
    """The judge's end: requests with answers. `lost` is set when the other end is gone."""

    def __init__(self) -> None:
        self.lost = asyncio.Event()
        self._transport: asyncio.Transport | None = None
        self._numbers = GREETING
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def open(self, connection: socket.socket) -> dict[str, Any]:
        """Connect and return the first frame's head: the settings.

        Raises:
            LinkLost: there is no first frame.
        """
        loop = asyncio.get_running_loop()
        greeting = self._waiting[GREETING] = loop.create_future()
        self._transport, _ = await loop.create_connection(
            lambda: FrameConnection(self._on_frame, self._on_lost), sock=connection
        )
        head: dict[str, Any] = await greeting
        return head

    async def ask(self, command: str, head: dict[str, Any], body: bytes = b"") -> Any:
        """Return the result of a command, once it is durable.

        Raises:
            LinkLost: nobody answers any more.
            NotStored: it was not carried out.
        """
        if self._transport is None or self.lost.is_set():
            raise LinkLost
        self._numbers += 1
        number = self._numbers
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        self._transport.write(encode(number, {**head, "command": command}, body))
        try:
            answer = await future
        finally:
            self._waiting.pop(number, None)
        if "result" in answer:
            return answer["result"]
        raise NotStored(answer["message"], later=answer["error"] == UNAVAILABLE)

    def _on_frame(self, frame: Frame) -> None:
        future = self._waiting.get(frame.number)
        if future is not None and not future.done():
            future.set_result(frame.head)

    def _on_lost(self) -> None:
        self.lost.set()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(LinkLost())
