"""A coding-agent orchestrator: it learns which agent is worth its money, and stops what fails or is too dear.

One task is one trace, named after the type of the task:

    <task type>              chain       input: the task, output: its result
      select_agent           span        what is known of each agent, and who was chosen
      <agent>                agent       one attempt; its calls carry the metadata `agent`
        call_model           generation  model, tokens, cost
      agent_switch           event       the attempt failed and the next agent takes over
      circuit_breaker        event       an agent failed too often and is left alone (open), is tried again
                                         (half-open), or works again (closed)
      budget_exhausted       event       the session has spent its budget; the task is refused
    scores of each attempt: task_success, quality, reward, cost-efficiency

The selection is UCB1: the agent with the best average reward so far, plus a bonus for what was tried little.
The reward weighs quality against cost. What each agent cost and achieved is asked of Langfuse at the end, not
of this process: the Metrics API adds up cost and tokens by the metadata `agent`, and scores by the agent's
name. Agents are simulated; all that is random follows from `--seed`.

    set -a; . .stack/credentials/<project>.env; set +a
    .venv/bin/python examples/orchestrator.py --tasks 20 --budget 0.5
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import sys
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from client import await_metrics, command_line, conclude, connect
from langfuse import Langfuse, propagate_attributes

TASK_TYPES = ("bug_fix", "new_feature", "refactoring")
FAILURES_TO_OPEN = 2  # failures in a row after which an agent is left alone
TASKS_OPEN = 3  # for how many tasks
COST_WEIGHT = 0.3  # of the reward; the rest is quality
TASK_BUDGET = 0.06  # USD that a task may cost before its reward suffers fully
MOST_ATTEMPTS = 3


@dataclass(frozen=True)
class Agent:
    """A (simulated) coding agent: its model, what it reads and writes for a task, and how good it is."""

    name: str
    model: str
    input_tokens: int
    output_tokens: int
    success_rate: float
    quality: float


AGENTS = (
    Agent("careful-coder", "gpt-4o", 6000, 1500, 0.93, 0.9),
    Agent("quick-coder", "gpt-4o-mini", 4000, 1200, 0.75, 0.7),
    Agent("shaky-coder", "gpt-4o-mini", 3000, 800, 0.25, 0.5),
)
# USD a million tokens: what the orchestrator believes; what Langfuse charges follows from its own prices.
BELIEVED_PRICES = {"gpt-4o": (2.5, 10.0), "gpt-4o-mini": (0.15, 0.6)}


@dataclass
class Record:
    """What the orchestrator has seen of an agent."""

    rewards: list[float] = field(default_factory=list)
    failures_in_row: int = 0
    half_open_from: int = 0  # number of the task with which an open breaker becomes half-open
    state: str = "closed"

    def upper_bound(self, attempts: int) -> float:
        """Return the average reward plus the bonus of UCB1; infinite for an agent never tried."""
        if not self.rewards:
            return math.inf
        return statistics.fmean(self.rewards) + math.sqrt(2 * math.log(attempts) / len(self.rewards))


class Orchestrator:
    """Chooses agents, watches them, and keeps to a budget."""

    def __init__(self, langfuse: Langfuse, budget: float, rng: random.Random) -> None:
        """Start with no experience. `budget`: USD for the whole session."""
        self.langfuse = langfuse
        self.left = budget
        self.rng = rng
        self.records = {agent.name: Record() for agent in AGENTS}
        self.attempts = 0

    def do(self, number: int) -> dict[str, Any]:
        """Do one task in one trace; return what the trace holds."""
        task_type = self.rng.choice(TASK_TYPES)
        task = f"{task_type.replace('_', ' ')} number {number}"
        with (
            propagate_attributes(trace_name=task_type),
            self.langfuse.start_as_current_observation(name=task_type, as_type="chain", input=task) as root,
        ):
            attempts = self._attempts(number, task)
            done = bool(attempts) and attempts[-1]["success"]
            root.update(
                output={"done": done, "agents": [attempt["agent"] for attempt in attempts]},
                level="DEFAULT" if done else "WARNING",
            )
            return {"trace_id": root.trace_id, "type": task_type, "attempts": attempts, "done": done}

    def _attempts(self, number: int, task: str) -> list[dict[str, Any]]:
        """Try agents until one succeeds, none is left or the budget is spent."""
        made: list[dict[str, Any]] = []
        while len(made) < MOST_ATTEMPTS and not (made and made[-1]["success"]):
            agent = self._select(number, {attempt["agent"] for attempt in made})
            if agent is None:
                if self.left < min(believed_cost(one) for one in AGENTS):
                    self._event("budget_exhausted", "ERROR", left_usd=round(self.left, 6))
                break
            if made:
                self._event("agent_switch", "WARNING", before=made[-1]["agent"], after=agent.name)
            made.append(self._attempt(agent, task))
            self._watch(agent, number, success=made[-1]["success"])
        return made

    def _select(self, number: int, tried: set[str]) -> Agent | None:
        """Return the agent that promises most, of those that can be paid, are not tried yet and not open."""
        with self.langfuse.start_as_current_observation(name="select_agent", as_type="span") as selection:
            for agent in AGENTS:
                record = self.records[agent.name]
                if record.state == "open" and number >= record.half_open_from:
                    self._breaker(agent, "half-open")
            bounds = {
                agent: self.records[agent.name].upper_bound(max(1, self.attempts))
                for agent in AGENTS
                if agent.name not in tried
                and self.records[agent.name].state != "open"
                and believed_cost(agent) <= self.left
            }
            chosen = max(bounds, key=lambda agent: bounds[agent], default=None)
            shown = {
                agent.name: "untried" if math.isinf(bound) else round(bound, 4)
                for agent, bound in bounds.items()
            }
            selection.update(input=shown, output=chosen.name if chosen else None)
            return chosen

    def _attempt(self, agent: Agent, task: str) -> dict[str, Any]:
        """Let one agent work on the task, and score the attempt."""
        with (
            self.langfuse.start_as_current_observation(name=agent.name, as_type="agent", input=task) as run,
            # Inside: what is propagated is also set on the open span, which outside is the caller's.
            propagate_attributes(metadata={"agent": agent.name}),
        ):
            success, usage = self._call_model(agent, task)
            spent = cost(agent, usage)
            quality = min(1.0, agent.quality * self.rng.uniform(0.9, 1.1)) if success else 0.0
            efficiency = max(0.0, 1 - spent / TASK_BUDGET)
            reward = (1 - COST_WEIGHT) * quality + COST_WEIGHT * efficiency if success else 0.0
            run.update(
                output="patch" if success else None,
                level="DEFAULT" if success else "ERROR",
                status_message=None if success else "the tests of the task fail",
            )
            run.score(name="task_success", value=success, data_type="BOOLEAN")
            for name, value in (("quality", quality), ("reward", reward), ("cost-efficiency", efficiency)):
                run.score(name=name, value=value, data_type="NUMERIC")
        self.attempts += 1
        self.left -= spent
        self.records[agent.name].rewards.append(reward)
        return {"agent": agent.name, "success": success, "cost": spent, "quality": quality, "reward": reward}

    def _call_model(self, agent: Agent, task: str) -> tuple[bool, dict[str, int]]:
        """Simulate the agent's model call; return whether the tests pass, and the tokens it took."""
        with self.langfuse.start_as_current_observation(
            name="call_model", as_type="generation", model=agent.model, input=task
        ) as call:
            success = self.rng.random() < agent.success_rate
            usage = {
                "input": int(agent.input_tokens * self.rng.uniform(0.8, 1.2)),
                "output": int(agent.output_tokens * self.rng.uniform(0.8, 1.2)),
            }
            call.update(output="patch" if success else "a patch whose tests fail", usage_details=usage)
        return success, usage

    def _watch(self, agent: Agent, number: int, *, success: bool) -> None:
        """Open or close the agent's circuit breaker after an attempt."""
        record = self.records[agent.name]
        record.failures_in_row = 0 if success else record.failures_in_row + 1
        if success and record.state == "half-open":
            self._breaker(agent, "closed")
        elif not success and (record.state == "half-open" or record.failures_in_row >= FAILURES_TO_OPEN):
            record.half_open_from = number + 1 + TASKS_OPEN
            self._breaker(agent, "open")

    def _breaker(self, agent: Agent, state: str) -> None:
        self.records[agent.name].state = state
        self._event(
            "circuit_breaker", "ERROR" if state == "open" else "WARNING", agent=agent.name, state=state
        )

    def _event(self, name: str, level: Any, **facts: Any) -> None:
        self.langfuse.create_event(name=name, level=level, metadata=facts)


def believed_cost(agent: Agent) -> float:
    """Return the USD that an attempt of the agent costs on average."""
    return cost(agent, {"input": agent.input_tokens, "output": agent.output_tokens})


def cost(agent: Agent, usage: dict[str, int]) -> float:
    """Return the USD that tokens cost."""
    read, write = BELIEVED_PRICES[agent.model]
    return (usage["input"] * read + usage["output"] * write) / 1_000_000


def ask_langfuse(langfuse: Langfuse, version: str, attempts: dict[str, int]) -> dict[str, dict[str, float]]:
    """Return cost, tokens, success rate and quality of each agent as the Metrics API adds them up.

    Args:
        langfuse: the client.
        version: of all traces that count.
        attempts: how many each agent made; they are waited for.
    """
    found = {}
    for agent, number in attempts.items():
        calls = await_metrics(langfuse, *calls_of(agent, version), enough=number)
        found[agent] = {
            "cost": sum(float(row["sum_totalCost"] or 0) for row in calls),
            "tokens": sum(float(row["sum_totalTokens"] or 0) for row in calls),
        }
        for score in ("task_success", "quality"):
            [scored] = await_metrics(langfuse, average_of(score, agent, version), enough=number)
            found[agent][score] = float(scored["avg_value"])
    return found


def calls_of(agent: str, version: str) -> list[dict[str, Any]]:
    """Return the queries for the model calls of one agent, of which a call fits one.

    SDK 5 sends texts of metadata in quotes, and a server may compare with these.
    """
    calls = {"column": "type", "type": "stringOptions", "operator": "any of", "value": ["GENERATION"]}
    measures = (("totalCost", "sum"), ("totalTokens", "sum"), ("count", "count"))
    own = {"column": "metadata", "type": "stringObject", "key": "agent", "operator": "="}
    return [
        lately("observations", measures, [{**own, "value": text}, calls, of_version(version)])
        for text in (agent, f'"{agent}"')
    ]


def average_of(score: str, agent: str, version: str) -> dict[str, Any]:
    """Return the query for the average of a score of one agent's runs."""
    conditions = [
        {"column": "name", "type": "string", "operator": "=", "value": score},
        {"column": "observationName", "type": "string", "operator": "=", "value": agent},
        of_version(version),
    ]
    return lately("scores-numeric", (("value", "avg"), ("count", "count")), conditions)


def of_version(version: str) -> dict[str, Any]:
    """Return the condition that a trace has the version."""
    return {"column": "traceVersion", "type": "string", "operator": "=", "value": version}


def lately(view: str, measures: tuple[tuple[str, str], ...], filters: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a query of the Metrics API for the last hour."""
    now = datetime.now(UTC)
    return {
        "view": view,
        "metrics": [{"measure": measure, "aggregation": how} for measure, how in measures],
        "filters": filters,
        "fromTimestamp": (now - timedelta(hours=1)).isoformat(),
        "toTimestamp": (now + timedelta(minutes=1)).isoformat(),
    }


def run(langfuse: Langfuse, options: argparse.Namespace) -> dict[str, Any]:
    """Do all tasks in one session; return the result that is printed."""
    session_id = options.session or f"coding-{uuid.uuid4().hex[:8]}"
    version = f"policy-{session_id}"  # what was learned in one session makes a policy of its own
    orchestrator = Orchestrator(langfuse, options.budget, random.Random(options.seed))
    with propagate_attributes(
        session_id=session_id, user_id="developer-1", tags=["example", "orchestrator"], version=version
    ):
        tasks = [orchestrator.do(number) for number in range(1, options.tasks + 1)]
    langfuse.flush()
    made = [attempt["agent"] for task in tasks for attempt in task["attempts"]]
    attempts = {agent.name: made.count(agent.name) for agent in AGENTS if agent.name in made}
    return {
        "session_id": session_id,
        "tasks": tasks,
        "attempts": attempts,
        "spent": options.budget - orchestrator.left,
        "agents": ask_langfuse(langfuse, version, attempts),
    }


def show(langfuse: Langfuse, result: dict[str, Any]) -> None:
    """Print the result for a person."""
    for task in result["tasks"]:
        tried = " -> ".join(
            f"{one['agent']} {'done' if one['success'] else 'failed'}" for one in task["attempts"]
        )
        print(f"{task['type']}: {tried or 'refused'}")
        print(f"  {langfuse.get_trace_url(trace_id=task['trace_id'])}")
    print(f"{'agent':<15}{'attempts':>9}{'success':>9}{'quality':>9}{'tokens':>10}{'USD':>10}")
    for agent, sums in result["agents"].items():
        print(
            f"{agent:<15}{result['attempts'][agent]:>9}{sums['task_success']:>9.0%}{sums['quality']:>9.2f}"
            f"{sums['tokens']:>10,.0f}{sums['cost']:>10.4f}"
        )
    done = sum(task["done"] for task in result["tasks"])
    print(
        f"{done} of {len(result['tasks'])} tasks done in session {result['session_id']} "
        f"for {result['spent']:.4f} USD"
    )


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = command_line(__doc__)
    parser.add_argument("--tasks", type=int, default=20, help="tasks to do (default 20)")
    parser.add_argument("--budget", type=float, default=0.5, help="USD for all tasks (default 0.5)")
    parser.add_argument("--seed", type=int, default=7, help="same seed, same choices (default 7)")
    parser.add_argument("--session", help="session id (default: a new one)")
    options = parser.parse_args(arguments)
    if options.tasks < 1:
        parser.error("--tasks must be at least 1")
    if options.budget <= 0:
        parser.error("--budget must be more than 0")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run the example; exit code 0 when done, 1 when the server refuses, 2 on wrong use."""
    options = parse(arguments)
    langfuse = connect()
    return conclude(langfuse, run(langfuse, options), show, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
