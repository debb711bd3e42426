"""The server's side of the judge's process: starts it when a rule is enabled, stores what it hands over."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import subprocess
import time
from collections import deque
from dataclasses import asdict
from pathlib import Path
from typing import Any

from langfuse_embedded.child_process import start_child
from langfuse_embedded.judge_settings import JudgeSettings
from langfuse_embedded.store.evaluation_rules import EvaluationRuleStore
from langfuse_embedded.store.evaluators import EvaluatorStore
from langfuse_embedded.store.state import StateStore
from langfuse_embedded.store.writer.client import (
    CommandError,
    FrameConnection,
    WriterClient,
    WriterUnavailable,
)
from langfuse_embedded.store.writer.protocol import FAILED, GREETING, UNAVAILABLE, Frame, encode

from .jobs import create

log = logging.getLogger(__name__)

_STOP_SECONDS = 2.0
_RESTART_SECONDS = 0.5
# One that ends again and again has a cause that a start at once does not remove.
_MANY_RESTARTS = 5
_WINDOW_SECONDS = 60.0
_PATIENCE_SECONDS = 30.0


class JudgeClient:
    """Keeps the judge's process running while there is an enabled rule to judge by."""

    def __init__(
        self, data_dir: Path, settings: JudgeSettings, writer: WriterClient, state: StateStore
    ) -> None:
        self._data_dir, self._settings, self._writer, self._state = data_dir, settings, writer, state
        self._evaluators = EvaluatorStore(state)
        self._rules = EvaluationRuleStore(state)
        self._process: subprocess.Popen[bytes] | None = None
        self._transport: asyncio.Transport | None = None
        self._starting: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._starts: deque[float] = deque(maxlen=_MANY_RESTARTS)
        self._closing = False

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._transport is not None

    @property
    def budget_usd(self) -> float:
        """What a project may spend on a day; 0: no limit."""
        return self._settings.budget_usd

    def prepare(self, seen: int) -> None:
        """Note that everything up to number `seen` is older than the first rule, before that is stored."""
        create(self._data_dir, seen)

    def ensure(self, seen: int) -> None:
        """Start the process if there is something to judge by."""
        if self._closing or self._transport is not None or self._starting is not None:
            return
        if self._rules.enabled():
            create(self._data_dir, seen)
            self._starting = asyncio.get_running_loop().create_task(self._start(0.0))

    async def close(self) -> None:
        """End the process; what it works on is made again later."""
        self._closing = True
        if self._starting is not None:
            self._starting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._starting
        if self._transport is not None:
            self._transport.close()
        if self._process is not None:
            process, self._process = self._process, None
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(process.wait, _STOP_SECONDS)
            process.kill()
            process.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _start(self, wait: float) -> None:
        await asyncio.sleep(wait)
        self._starts.append(time.monotonic())
        self._process, ours = start_child("langfuse_embedded.judge", self._data_dir)
        self._transport, _ = await asyncio.get_running_loop().create_connection(
            lambda: FrameConnection(self._on_frame, self._on_lost), sock=ours
        )
        self._transport.write(encode(GREETING, asdict(self._settings)))
        self._starting = None

    def _on_frame(self, frame: Frame) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(frame))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, frame: Frame) -> None:
        command = frame.head["command"]
        try:
            if command == "pause":
                with self._state.transaction():
                    self._evaluators.pause(frame.head["evaluator"], frame.head["reason"])
                result = 1
            else:
                arguments = {"project": frame.head["project"], "scores": frame.head["scores"]}
                result = await self._writer.submit("store_judgement", arguments, bytes(frame.body))
            answer: dict[str, Any] = {"result": result}
        except WriterUnavailable as error:
            answer = {"error": UNAVAILABLE, "message": str(error)}
        except CommandError as error:
            answer = {"error": FAILED, "message": str(error)}
        except Exception as error:
            log.exception("what the judge handed over was not stored")
            answer = {"error": UNAVAILABLE, "message": str(error)}
        if self._transport is not None:
            self._transport.write(encode(frame.number, answer))

    def _on_lost(self) -> None:
        self._transport = None
        if self._closing or self._process is None:
            return
        process, self._process = self._process, None
        process.kill()
        process.wait()
        often = len(self._starts) == _MANY_RESTARTS and time.monotonic() - self._starts[0] < _WINDOW_SECONDS
        wait = _PATIENCE_SECONDS if often else _RESTART_SECONDS
        log.error("the judge's process ended; it is started again in %g s", wait)
        self._starting = asyncio.get_running_loop().create_task(self._start(wait))
