"""Seeded traces and scores of every kind that dashboards show, and what each panel must show for them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from .spans import send, span, span_id, trace_id

Numbers = NDArray[np.float64]
Groups = dict[str, float]
COUNT = 60


@dataclass(frozen=True)
class Seed:
    """One row a trace: an agent's run with a model call, and its scores."""

    agents: NDArray[np.str_]
    models: NDArray[np.str_]
    names: NDArray[np.str_]
    tags: NDArray[np.str_]
    users: NDArray[np.int64]
    durations_ms: NDArray[np.int64]
    first_token_ms: NDArray[np.int64]
    input_tokens: NDArray[np.int64]
    output_tokens: NDArray[np.int64]
    costs: Numbers
    failed: NDArray[np.bool_]
    scores: dict[str, Numbers]

    @property
    def tokens(self) -> NDArray[np.int64]:
        """Input and output."""
        return self.input_tokens + self.output_tokens


def make_seed(number: int) -> Seed:
    """Return reproducible data."""
    random = np.random.default_rng(number)
    return Seed(
        agents=random.choice(["router", "researcher"], COUNT),
        models=random.choice(["gpt-4o", "claude-sonnet-4"], COUNT),
        names=random.choice(["attribution_query", "chat-turn"], COUNT),
        tags=random.choice(["gap:producer", "gap:engineer"], COUNT),
        users=random.integers(0, 7, COUNT),
        durations_ms=random.integers(500, 9000, COUNT),
        first_token_ms=random.integers(50, 400, COUNT),
        input_tokens=random.integers(100, 3000, COUNT),
        output_tokens=random.integers(10, 900, COUNT),
        costs=random.uniform(0.001, 0.05, COUNT).round(6),
        failed=random.random(COUNT) < 0.2,
        scores={
            "attribution_confidence": random.uniform(0.4, 1, COUNT).round(4),
            "conformal_coverage": random.uniform(0.8, 1, COUNT).round(4),
            "prediction_set_size": random.integers(1, 6, COUNT).astype(np.float64),
            "source_count": random.integers(1, 4, COUNT).astype(np.float64),
            "gap_fill_success": random.integers(0, 2, COUNT).astype(np.float64),
            "turns_to_fill": random.integers(1, 9, COUNT).astype(np.float64),
            "satisfaction": random.integers(1, 6, COUNT).astype(np.float64),
            "tts_latency_ms": random.integers(100, 1500, COUNT).astype(np.float64),
            "latency-sla": random.integers(0, 2, COUNT).astype(np.float64),
            "task_success": random.integers(0, 2, COUNT).astype(np.float64),
            "quality": random.uniform(0.2, 1, COUNT).round(4),
        },
    )


BOOLEAN = ("gap_fill_success", "latency-sla", "task_success")


def push(client: httpx.Client, seed: Seed) -> None:
    """Send everything."""
    now = datetime.now(UTC)
    for row in range(COUNT):
        trace, root = trace_id(), span_id()
        start = now - timedelta(seconds=20)
        milliseconds = int(start.timestamp() * 1000)
        first = start + timedelta(milliseconds=int(seed.first_token_ms[row]))
        common = {
            "langfuse.trace.name": str(seed.names[row]),
            "langfuse.trace.tags": json.dumps(["gap-filling", str(seed.tags[row])]),
            "user.id": f"user-{seed.users[row]}",
            "session.id": f"session-{row}",
        }
        level = "ERROR" if seed.failed[row] else "DEFAULT"
        usage = {"input": int(seed.input_tokens[row]), "output": int(seed.output_tokens[row])}
        agent = {**common, "langfuse.observation.type": "agent", "langfuse.observation.level": level}
        call = {
            **common,
            "langfuse.observation.type": "generation",
            "langfuse.observation.metadata.agent": str(seed.agents[row]),
            "langfuse.observation.model.name": str(seed.models[row]),
            "langfuse.observation.usage_details": json.dumps(usage),
            "langfuse.observation.cost_details": json.dumps({"total": float(seed.costs[row])}),
            "langfuse.observation.completion_start_time": json.dumps(
                first.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            ),
        }
        duration = int(seed.durations_ms[row])
        # The times of Unix milliseconds are exact, so that the first token is too.
        send(
            client,
            span(
                trace, str(seed.agents[row]), id=root, start=milliseconds, duration=duration, attributes=agent
            ),
            span(trace, "answer", parent=root, start=milliseconds, duration=duration, attributes=call),
        )
        for name, values in seed.scores.items():
            _score(client, trace, root, name, float(values[row]))


def _score(client: httpx.Client, trace: str, observation: str, name: str, value: float) -> None:
    body: dict[str, Any] = {"traceId": trace, "observationId": observation, "name": name, "value": value}
    body["dataType"] = "BOOLEAN" if name in BOOLEAN else "NUMERIC"
    answer = client.post("/api/public/scores", json=body)
    assert answer.status_code == 200, answer.text


def expected_panels(seed: Seed) -> dict[tuple[str, str], Groups]:
    """Return what each panel about applications must show, by dashboard and title, for each group."""
    seconds = seed.durations_ms / 1000
    scores = seed.scores
    cost = float(seed.costs.sum())

    def by(keys: NDArray[np.str_], values: NDArray[Any], how: Callable[[Any], Any]) -> Groups:
        return {str(key): float(how(values[keys == key])) for key in np.unique(keys)}

    def p(percent: float) -> Callable[[Any], Any]:
        return lambda values: np.percentile(values, percent)

    def mean(name: str) -> Groups:
        return {"": float(scores[name].mean())}

    agents, models = seed.agents, seed.models
    dashboards: dict[str, dict[str, Groups]] = {
        "llm-operations": {
            "Traces in the last hour": {"": COUNT},
            "Model calls in the last hour": {"": COUNT},
            "Users in 24 hours": {"": len(np.unique(seed.users))},
            "Sessions in 24 hours": {"": COUNT},
            "Latency of traces, p50": {"": float(p(50)(seconds))},
            "Latency of traces, p95": {"": float(p(95)(seconds))},
            "Latency of traces by name, p95": by(seed.names, seconds, p(95)),
            "Time to first token, p95": {"": float(p(95)(seed.first_token_ms / 1000))},
            "Latency of model calls, p95": by(models, seconds, p(95)),
            "Share of observations with errors": {"": float(seed.failed.mean() / 2)},
            "Tokens in 24 hours by model": by(models, seed.tokens, np.sum),
        },
        "attribution-quality": {
            "Average confidence": mean("attribution_confidence"),
            "Share of fields at 90 % confidence or more": {
                "": float((scores["attribution_confidence"] >= 0.9).mean())
            },
            "Coverage of prediction sets": mean("conformal_coverage"),
            "Size of prediction sets": mean("prediction_set_size"),
            "Share of credits with one source": {"": float((scores["source_count"] == 1).mean())},
            "Scored fields in 24 hours": {"": COUNT},
        },
        "gap-filling": {
            "Share of gaps filled": mean("gap_fill_success"),
            "Share of gaps filled by type": by(seed.tags, scores["gap_fill_success"], np.mean),
            "Turns until a gap is filled": mean("turns_to_fill"),
            "Satisfaction, of 5": mean("satisfaction"),
            "Gaps asked for in 24 hours": {"": COUNT},
            "Cost of a filled gap": {"": cost / float(scores["gap_fill_success"].sum())},
        },
        "cost-and-budget": {
            "Cost today": {"": cost},
            "Daily budget": {"": 50},
            "Cost this month": {"": cost},
            "Monthly budget": {"": 1000},
            "Part of the daily budget spent": {"": cost / 50},
            "Cost in 24 hours": {"": cost},
            "Cost in 24 hours by model": by(models, seed.costs, np.sum),
            "Cost in 24 hours by trace name": by(seed.names, seed.costs, np.sum),
            "Tokens per trace by name": by(seed.names, seed.tokens, np.mean),
            "Input tokens in 24 hours": {"": float(seed.input_tokens.sum())},
            "Output tokens in 24 hours": {"": float(seed.output_tokens.sum())},
        },
        "voice": {
            f"Time until the first sound, p{percent}": {"": float(p(percent)(scores["tts_latency_ms"]))}
            for percent in (50, 95, 99)
        }
        | {"Turns within the agreed time": mean("latency-sla")},
        "agents": {
            "Runs in 24 hours by agent": by(agents, seed.failed, np.size),
            "Share of runs with errors": by(agents, seed.failed, np.mean),
            "Latency of agents, p95": by(agents, seconds, p(95)),
            "Latency of agents, p50": by(agents, seconds, p(50)),
            "Tasks done with success": by(agents, scores["task_success"], np.mean),
            "Judged tasks in 24 hours": by(agents, scores["task_success"], np.size),
            "Cost in 24 hours by agent": by(agents, seed.costs, np.sum),
            "Cost of a run by agent": by(agents, seed.costs, np.mean),
            "Quality by agent": by(agents, scores["quality"], np.mean),
            "Share of input tokens by agent": {
                agent: amount / float(seed.tokens[agents == agent].sum())
                for agent, amount in by(agents, seed.input_tokens, np.sum).items()
            },
        },
    }
    return {(name, title): groups for name, panels in dashboards.items() for title, groups in panels.items()}
