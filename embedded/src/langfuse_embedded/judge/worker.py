"""The judge's process: looks for what is new, asks models, and hands over what they say.

    python -m langfuse_embedded.judge DATA_DIR SOCKET_FD PARENT

It reads `events.db` and `state.db` and writes `judge.db` only. Scores, traces and pauses go to the server's
process, as frames of the writer's protocol, which are answered when they are stored. The first frame from
there has the settings.
"""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from langfuse_embedded.clock import now_ms
from langfuse_embedded.judge_settings import JudgeSettings
from langfuse_embedded.otlp.event import Event
from langfuse_embedded.outbound_urls import AllowedHosts
from langfuse_embedded.pricing.cpu_budget import BudgetSpent
from langfuse_embedded.store.documents import load_or_none
from langfuse_embedded.store.llm_connections import LlmConnectionStore
from langfuse_embedded.store.observation_query import ObservationReader, StoredObservation
from langfuse_embedded.store.score_rows import Score
from langfuse_embedded.store.secrets import SecretBox
from langfuse_embedded.store.state import StateReader
from langfuse_embedded.store.writer.lookups import StateLookups

from .calls import Answer, Caller
from .connections import NotCallable, target_of
from .failures import CallFailed
from .filters import may_be_judged
from .identity import execution_span_id, execution_trace_id
from .jobs import DAY_MS, Job, Jobs
from .link import Link, LinkLost, NotStored
from .prompts import TooLong, compiled
from .records import Judged, event_fields, scores_of, trace_of
from .scheduler import Rules, Scheduler
from .values import variables

log = logging.getLogger("langfuse_embedded.judge")

_POLL_SECONDS = 0.1
_STORE_RETRY_SECONDS = 0.5
_PRICING_SECONDS = 1.0
_FORGET_SECONDS = 3600.0
_FIRST_RETRY_SECONDS = 300.0
_RETRY_JITTER = 0.2
# The server's client asks a model once more at once (AI SDK, `maxRetries: 1`).
_ATTEMPTS = 2


class Worker:
    """Makes judgements until the link to the server's process is lost."""

    def __init__(self, data_dir: Path, link: Link, settings: JudgeSettings) -> None:
        self._link, self._settings = link, settings
        self._jobs = Jobs(data_dir)
        self._rules = Rules(data_dir)
        self._scheduler = Scheduler(data_dir, self._jobs, self._rules)
        self._observations = ObservationReader(self._scheduler.db)
        self._connections = LlmConnectionStore(StateReader(self._rules.db))
        self._box = SecretBox(data_dir, settings.encryption_key)
        self._prices = StateLookups(data_dir / "state.db")
        self._caller = Caller(settings.allowed, settings.timeout_seconds)
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._day = 0
        self._spent: defaultdict[str, float] = defaultdict(float)
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Work until the link is lost; judgements at work are dropped, and made by the next process."""
        forget_at = 0.0
        loop = asyncio.get_running_loop()
        try:
            while not self._link.lost.is_set():
                more = self._step()
                if loop.time() >= forget_at:
                    self._jobs.forget(now_ms())
                    forget_at = loop.time() + _FORGET_SECONDS
                if more:
                    await asyncio.sleep(0)
                    continue
                self._changed.clear()
                try:
                    async with asyncio.timeout(_POLL_SECONDS):
                        await self._changed.wait()
                except TimeoutError:
                    pass
        finally:
            for task in self._busy.values():
                task.cancel()
            await asyncio.gather(*self._busy.values(), return_exceptions=True)
            await self._caller.close()

    def _step(self) -> bool:
        try:
            self._rules.refresh()
            more = self._scheduler.step()
            self._start_due()
        except sqlite3.OperationalError as error:
            # A busy file, a full disk: the next step tries again.
            log.warning("the judge waits: %s", error)
            return False
        return more

    def _start_due(self) -> None:
        free = self._settings.concurrency - len(self._busy)
        if free <= 0:
            return
        for job in self._jobs.due(now_ms(), free, list(self._busy), self._resting()):
            task = asyncio.get_running_loop().create_task(self._judge(job))
            self._busy[job.id] = task
            task.add_done_callback(partial(self._done, job.id))

    def _done(self, job_id: str, task: asyncio.Task[None]) -> None:
        del self._busy[job_id]
        self._changed.set()
        if not task.cancelled() and (error := task.exception()):
            log.error("the judgement %s failed, and is made again", job_id, exc_info=error)

    def _resting(self) -> list[str]:
        """Return the projects that have spent what they may on this day."""
        if not self._settings.budget_usd:
            return []
        day = now_ms() // DAY_MS
        if day != self._day:
            self._day = day
            self._spent = defaultdict(float, self._jobs.spent(now_ms()))
        return [project for project, usd in self._spent.items() if usd >= self._settings.budget_usd]

    async def _judge(self, job: Job) -> None:
        try:
            await self._judge_now(job)
        except LinkLost:
            pass
        except NotStored as error:
            # A defect: to ask the model again would cost money and end in the same.
            log.error("the judgement %s could not be stored: %s", job.id, error)
            self._jobs.finish(job, "error", now_ms(), error=str(error))
        except sqlite3.OperationalError as error:
            log.warning("the judgement %s waits: %s", job.id, error)
            await asyncio.sleep(_STORE_RETRY_SECONDS)

    async def _judge_now(self, job: Job) -> None:
        pair = self._rules.pair(job.assignment_id)
        found = self._observations.one(job.project, job.span_id, trace_id=job.trace_id)
        if pair is None or found is None or not may_be_judged(found.row["environment"]):
            self._jobs.finish(job, "cancelled", now_ms())
            return
        _, assignment, evaluator = pair
        definition = evaluator.version.definition
        mapping = definition["mapping"] if assignment.mapping is None else assignment.mapping
        try:
            target = target_of(job.project_id, definition, self._connections, self._box)
        except NotCallable as error:
            await self._pause(evaluator.id, error.blocks)
            self._jobs.finish(job, "error", now_ms(), error=str(error))
            return
        filled = _variables(mapping or [], found)
        try:
            messages = [
                {"role": one["role"], "content": compiled(one["content"], filled)}
                for one in definition["prompt"]
            ]
        except TooLong as error:
            self._jobs.finish(job, "error", now_ms(), error=str(error))
            return
        started = now_ms()
        trace = f"00-{execution_trace_id(job.id)}-{execution_span_id(job.id, job.attempt, 'http')}-01"
        outcome: Answer | CallFailed
        try:
            outcome = await self._caller.ask(
                target, messages, definition["output"], attempts=_ATTEMPTS, traceparent=trace
            )
        except CallFailed as error:
            outcome = error
        judged = Judged(job, evaluator, target, messages, started, now_ms())
        events = trace_of(judged, outcome)
        cost = self._cost(job.project_id, events)
        self._spent[job.project_id] += cost
        scores = (
            [] if isinstance(outcome, CallFailed) else scores_of(judged, outcome, found.row["environment"])
        )
        await self._store(job.project_id, scores, events)
        if isinstance(outcome, CallFailed):
            await self._settle(job, outcome, cost)
        else:
            self._jobs.finish(job, "done", now_ms(), cost)

    async def _settle(self, job: Job, failed: CallFailed, cost: float) -> None:
        """Decide what becomes of a judgement that failed."""
        if failed.blocks:
            await self._pause(job.evaluator_id, failed.blocks)
        elapsed = (now_ms() - job.created_at) / 1000
        settings = self._settings
        wait = retry_delay(job.attempt + 1, elapsed, settings.retries, settings.retry_seconds)
        if failed.retryable and wait is not None:
            self._jobs.delay(job, now_ms() + int(wait * 1000), cost, str(failed))
        else:
            self._jobs.finish(job, "error", now_ms(), cost, str(failed))

    async def _pause(self, evaluator_id: str, reason: str) -> None:
        try:
            await self._link.ask("pause", {"evaluator": evaluator_id, "reason": reason})
        except NotStored as error:
            log.warning("the evaluator %s could not be paused: %s", evaluator_id, error)

    async def _store(self, project_id: str, scores: list[Score], events: list[Event]) -> None:
        """Hand over what a judgement leaves; wait as long as it takes: the model was paid for it."""
        head = {"project": project_id, "scores": scores}
        body = orjson.dumps([event_fields(event) for event in events])
        while True:
            try:
                await self._link.ask("store", head, body)
            except NotStored as error:
                if not error.later:
                    raise
                await asyncio.sleep(_STORE_RETRY_SECONDS)
            else:
                return

    def _cost(self, project_id: str, events: list[Event]) -> float:
        self._prices.refresh(_PRICING_SECONDS)
        try:
            prices = [self._prices.price(project_id, event) for event in events if event.model_name]
        except BudgetSpent:
            log.warning(
                "what a judgement cost is not known: matching the models of project %s takes too long; "
                "delete those that are not needed",
                project_id,
            )
            return 0.0
        return sum(priced.cost.get("total") or 0.0 for priced in prices if priced.cost)


def _variables(mapping: list[dict[str, str]], found: StoredObservation) -> dict[str, str]:
    if found.body is None:
        return {}
    return variables(mapping, found.body, load_or_none(found.row["called_tool_names"]) or [])


def settings_of(document: dict[str, Any]) -> JudgeSettings:
    """Return the settings in the first frame."""
    allowed = AllowedHosts(**document.pop("allowed"))
    return JudgeSettings(**document, allowed=allowed)


def retry_delay(attempt: int, elapsed: float, retries: int, most_seconds: float) -> float | None:
    """Return how many seconds to wait before retry number `attempt` (from 1); ``None``: give up.

    As the server's worker plans it (`worker/src/features/utils/retry-handler.ts`).

    `elapsed` seconds have gone since the first call. With 4 retries in 7200 s they come about 5, 43, 82 and
    120 minutes after it.
    """
    if attempt > retries or elapsed >= most_seconds:
        return None
    first = min(_FIRST_RETRY_SECONDS, most_seconds / retries)
    progress = (attempt - 1) / (retries - 1) if retries > 1 else 0.0
    wait = max(0.0, first + (most_seconds - first) * progress - elapsed)
    jittered = wait * random.uniform(1 - _RETRY_JITTER, 1 + _RETRY_JITTER)  # noqa: S311 - spreads load
    return min(jittered, most_seconds - elapsed)
