"""Observe an orchestrator of agents. Copy this file into your application: it needs `langfuse>=5` alone.

    async with Observer() as observer:  # a worker; with FastAPI: in the application's lifespan
        async with observer.task("bug_fix", session_id="s-1", user_id="athena", input_=task):
            while (agent := observer.choose(["careful-coder", "quick-coder"])) is not None:
                async with observer.run(agent, input_=task) as run:
                    run.call("gpt-4o", {"input": 900, "output": 120}, output=patch, usd=0.004)
                    run.finish(success=True, quality=0.9, output=patch)
                if run.success:
                    break

Runs may be nested and concurrent. Each is an observation of type AGENT with the scores `task_success`,
`quality` and `reward`; its calls carry the metadata `agent`. A run that raises or lacks `finish` has failed.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from langfuse import Langfuse, LangfuseAgent, LangfuseChain, get_client, propagate_attributes


@dataclass
class Record:
    """What is known of an agent: its rewards, and its circuit breaker."""

    rewards: list[float] = field(default_factory=list)
    failures_in_row: int = 0
    open_until: float = -math.inf
    state: str = "closed"  # closed: works; open: left alone; half-open: tried once


class Run:
    """One attempt of an agent, while it lasts."""

    def __init__(self, langfuse: Langfuse, agent: str, observation: LangfuseAgent) -> None:
        """Begin with nothing achieved and nothing spent."""
        self.agent, self.observation, self._langfuse = agent, observation, langfuse
        self.success, self.usd = False, 0.0
        self.quality: float | None = None

    def call(
        self, model: str, usage: dict[str, int], *, name: str = "call_model", usd: float = 0.0, **io: Any
    ) -> None:
        """Record a model call; `usage` in tokens, `usd` as you believe it, `io`: input and output."""
        self._langfuse.start_observation(
            name=name, as_type="generation", model=model, usage_details=usage, **io
        ).end()
        self.usd += usd

    def finish(self, *, success: bool, quality: float | None = None, output: Any = None) -> None:
        """Say how the run ended; `quality` from 0 to 1."""
        self.success, self.quality = success, quality
        self.observation.update(output=output)


@dataclass
class Observer:
    """Chooses agents by their rewards, leaves alone those that fail, and records all of it.

    Attributes:
        failures_to_open: failures in a row after which an agent is left alone for `pause_s` seconds.
        task_budget: USD at which the cost of a run takes `cost_weight` from its reward.
    """

    langfuse: Langfuse = field(default_factory=get_client)
    failures_to_open: int = 3
    pause_s: float = 60.0
    cost_weight: float = 0.3
    task_budget: float = 0.05
    clock: Callable[[], float] = time.monotonic
    records: dict[str, Record] = field(default_factory=dict)

    async def __aenter__(self) -> Self:
        """Nothing is opened: the client sends by itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Send what is left, without holding up the event loop."""
        await asyncio.to_thread(self.langfuse.flush)

    @asynccontextmanager
    async def task(self, name: str, *, input_: Any = None, **attributes: Any) -> AsyncIterator[LangfuseChain]:
        """Open the trace of a task; `attributes`: user_id, session_id, tags, version."""
        with (
            propagate_attributes(trace_name=name, **attributes),
            self.langfuse.start_as_current_observation(name=name, as_type="chain", input=input_) as root,
        ):
            yield root

    @asynccontextmanager
    async def run(self, agent: str, *, input_: Any = None) -> AsyncIterator[Run]:
        """Open the run of an agent, within a task or within another run."""
        with (
            self.langfuse.start_as_current_observation(
                name=agent, as_type="agent", input=input
            ) as observation,
            # Inside: what is propagated is also set on the open span, which outside is the caller's.
            propagate_attributes(metadata={"agent": agent}),
        ):
            run = Run(self.langfuse, agent, observation)
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
            promises: dict[str, float] = {}
            attempts = sum(len(record.rewards) for record in self.records.values())
            for agent in agents if budget_left > 0 else ():
                record = self.records.setdefault(agent, Record())
                if record.state == "open" and self.clock() >= record.open_until:
                    self._set_state(agent, "half-open")
                if record.state != "open":
                    tried = len(record.rewards)
                    bonus = math.sqrt(2 * math.log(max(attempts, 1)) / tried) if tried else math.inf
                    promises[agent] = (sum(record.rewards) / tried if tried else 0.0) + bonus
            chosen = max(promises, key=lambda agent: promises[agent], default=None)
            shown = {one: "untried" if math.isinf(value) else value for one, value in promises.items()}
            selection.update(input=shown, output=chosen, level="DEFAULT" if chosen else "WARNING")
        return chosen

    def switch(self, before: str, after: str, why: str) -> None:
        """Record that another agent takes over."""
        facts = {"before": before, "after": after, "why": why}
        self.langfuse.create_event(name="agent_switch", level="WARNING", metadata=facts)

    def _conclude(self, run: Run) -> None:
        cost = self.cost_weight * min(1.0, run.usd / self.task_budget)
        quality = run.quality if run.quality is not None else 1.0
        reward = max(0.0, (1 - self.cost_weight) * quality + self.cost_weight - cost) if run.success else 0.0
        if not run.success:
            run.observation.update(level="ERROR")
        run.observation.score(name="task_success", value=float(run.success), data_type="BOOLEAN")
        run.observation.score(name="reward", value=reward)
        if run.quality is not None:
            run.observation.score(name="quality", value=run.quality)
        record = self.records.setdefault(run.agent, Record())
        record.rewards.append(reward)
        record.failures_in_row = 0 if run.success else record.failures_in_row + 1
        if run.success and record.state != "closed":
            self._set_state(run.agent, "closed")
        elif not run.success and (
            record.state == "half-open" or record.failures_in_row >= self.failures_to_open
        ):
            record.open_until = self.clock() + self.pause_s
            self._set_state(run.agent, "open")

    def _set_state(self, agent: str, state: str) -> None:
        self.records[agent].state = state
        facts = {"agent": agent, "state": state}
        self.langfuse.create_event(
            name="circuit_breaker", level="ERROR" if state == "open" else "WARNING", metadata=facts
        )
