"""Observe an orchestrator of agents. Copy this file into your application: it needs `langfuse>=5` alone.

    async with Observer() as observer:  # a worker; with FastAPI: in the application's lifespan
        async with observer.task("bug_fix", session_id="s-1", user_id="athena", input_=task):
            agent = observer.choose(["careful-coder", "quick-coder"])  # None: all are left alone
            async with observer.run(agent, input_=task) as run:
                run.call("gpt-4o", {"input": 900, "output": 120}, output=patch, usd=0.004)
                run.finish(success=True, quality=0.9, output=patch)

Runs may be nested and concurrent. Each is an observation of type AGENT with the scores `task_success`,
`quality` and `reward`; its calls carry the metadata `agent`. A run that raises or lacks `finish` has failed.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from langfuse import Langfuse, LangfuseAgent, LangfuseChain, get_client, propagate_attributes
from langfuse.types import TraceContext


@dataclass
class Record:
    """What is known of an agent."""

    rewards: list[float] = field(default_factory=list)
    failures_in_row: int = 0
    left_alone_until: float = -math.inf


@dataclass
class Run:
    """One attempt of an agent, while it lasts."""

    agent: str
    observation: LangfuseAgent
    success: bool = False
    quality: float | None = None
    usd: float = 0.0

    def call(self, model: str, usage: dict[str, int], *, usd: float = 0.0, **io: Any) -> None:
        """Record a model call; `usage` in tokens, `usd` as you believe it, `io`: input and output."""
        call = self.observation.start_observation(name="call_model", as_type="generation", model=model, **io)
        call.update(usage_details=usage, metadata={"agent": self.agent}).end()
        self.usd += usd

    def finish(self, *, success: bool, quality: float | None = None, output: Any = None) -> None:
        """Say how the run ended; `quality` from 0 to 1."""
        self.success, self.quality = success, quality
        self.observation.update(output=output)


@dataclass
class Observer(AbstractAsyncContextManager["Observer", None]):
    """Chooses agents by their rewards, leaves alone those that fail, and records all of it.

    After `failures_to_open` failures in a row an agent is left alone for `pause_s` seconds, then tried once.
    The cost of a run takes up to `cost_weight` from its reward: all of it from `task_budget` USD on.
    """

    langfuse: Langfuse = field(default_factory=get_client)
    failures_to_open: int = 3
    pause_s: float = 60.0
    cost_weight: float = 0.3
    task_budget: float = 0.05
    clock: Callable[[], float] = time.monotonic
    records: dict[str, Record] = field(default_factory=dict)

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.langfuse.flush)  # without holding up the event loop

    @asynccontextmanager
    async def task(
        self, name: str, *, input_: Any = None, trace_context: TraceContext | None = None, **attributes: Any
    ) -> AsyncIterator[LangfuseChain]:
        """Open a task's trace, or continue `trace_context`'s; `attributes`: user_id, session_id, tags."""
        start = self.langfuse.start_as_current_observation
        with (
            propagate_attributes(trace_name=name, **attributes),
            start(name=name, as_type="chain", input=input_, trace_context=trace_context) as root,
        ):
            yield root

    @asynccontextmanager
    async def run(self, agent: str, *, input_: Any = None) -> AsyncIterator[Run]:
        """Open the run of an agent, within a task or within another run."""
        start = self.langfuse.start_as_current_observation
        with (
            start(name=agent, as_type="agent", input=input_) as observation,
            propagate_attributes(metadata={"agent": agent}),  # inside: the caller keeps its own
        ):
            run = Run(agent, observation)
            try:
                yield run
            except BaseException:
                run.success = False  # also when it had finished before
                raise
            finally:
                self._conclude(run)

    def choose(self, agents: Sequence[str], *, budget_left: float = math.inf) -> str | None:
        """Return the agent that promises most (UCB1), or None: all are left alone, or the budget is spent."""
        with self.langfuse.start_as_current_observation(name="select_agent", as_type="span") as selection:
            attempts = sum(len(record.rewards) for record in self.records.values())
            promises: dict[str, float] = {}
            for agent in agents if budget_left > 0 else ():
                record = self.records.setdefault(agent, Record())
                if self.clock() >= record.left_alone_until:
                    tried = len(record.rewards)
                    bonus = math.sqrt(2 * math.log(attempts) / tried) if tried else math.inf
                    promises[agent] = sum(record.rewards) / max(tried, 1) + bonus
            chosen = max(promises, key=lambda agent: promises[agent], default=None)
            shown = {one: "untried" if math.isinf(value) else value for one, value in promises.items()}
            selection.update(input=shown, output=chosen, level="DEFAULT" if chosen else "WARNING")
            if chosen and self.records[chosen].failures_in_row >= self.failures_to_open:
                self._tell("circuit_breaker", "WARNING", agent=chosen, state="half-open")
        return chosen

    def switch(self, before: str, after: str, why: str) -> None:
        """Record that another agent takes over."""
        self._tell("agent_switch", "WARNING", before=before, after=after, why=why)

    def _conclude(self, run: Run) -> None:
        saved = self.cost_weight * (1 - min(1.0, run.usd / self.task_budget))
        quality = 1.0 if run.quality is None else run.quality
        reward = max(0.0, (1 - self.cost_weight) * quality + saved) if run.success else 0.0
        run.observation.score(name="task_success", value=float(run.success), data_type="BOOLEAN")
        run.observation.score(name="reward", value=reward)
        if run.quality is not None:
            run.observation.score(name="quality", value=run.quality)
        record = self.records.setdefault(run.agent, Record())
        record.rewards.append(reward)
        if run.success and record.failures_in_row >= self.failures_to_open:
            self._tell("circuit_breaker", "WARNING", agent=run.agent, state="closed")
        record.failures_in_row = 0 if run.success else record.failures_in_row + 1
        if not run.success:
            run.observation.update(level="ERROR")
            if record.failures_in_row >= self.failures_to_open:
                record.left_alone_until = self.clock() + self.pause_s
                self._tell("circuit_breaker", "ERROR", agent=run.agent, state="open")

    def _tell(self, name: str, level: Literal["WARNING", "ERROR"], **facts: str) -> None:
        self.langfuse.create_event(name=name, level=level, metadata=facts)
