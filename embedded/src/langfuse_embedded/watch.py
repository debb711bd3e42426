"""Once a second: does the writer answer, are the files there, does the store take writes again?"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from .store.state import StateStore
from .store.storage import Storage
from .store.writer.client import CommandError, WriterClient

log = logging.getLogger(__name__)

_EVERY_SECONDS = 1.0
_PROBE_SECONDS = 5.0
_FAREWELL_SECONDS = 5.0


class Watch:
    """Looks after the parts of an engine. `gave_up` is called when the files are gone."""

    def __init__(
        self, writer: WriterClient, storage: Storage, state: StateStore, gave_up: Callable[[], None]
    ) -> None:
        self._writer, self._storage, self._state = writer, storage, state
        self._gave_up = gave_up
        self._task: asyncio.Task[None] | None = None

    @property
    def problem(self) -> str:
        """Why a write would not be answered, or not be kept; empty when all is well."""
        return self._storage.problem or (self._writer.problem if self._task else "")

    def start(self) -> None:
        """Begin to look; the files are those that are there now."""
        self._storage.is_gone()
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            try:
                self._writer.pulse()
                if self._storage.is_gone():
                    # Whoever asks meanwhile is told why: a refused connection says nothing.
                    await asyncio.sleep(_FAREWELL_SECONDS)
                    self._gave_up()
                    return
                if refusal := self._storage.is_full_or_readonly():
                    self._storage.refuse(refusal)
                elif self._storage.refusal and not self._writer.problem:
                    await self._probe()
            except Exception:
                log.exception("looking after the engine failed, and goes on")

    async def _probe(self) -> None:
        """Write something to both databases: only when that works is the trouble over."""
        try:
            self._state.probe()
            async with asyncio.timeout(_PROBE_SECONDS):
                await self._writer.submit("probe", {})
        except (CommandError, TimeoutError):
            return
        except Exception as error:
            if self._storage.note(error) is None:
                raise
            return
        self._storage.accept()
