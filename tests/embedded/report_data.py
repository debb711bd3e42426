"""Six weeks of seeded traces and scores, as columns for numpy, and how they are sent."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from .spans import send, span, span_id, trace_id

NOW = datetime(2026, 1, 31, 15, 0, tzinfo=UTC)
"""The 31st, so that the month began before the window of 30 days."""
DAYS = 42
TRACES = 420
USERS = 26
MODELS = ("gpt-4o", "gpt-4o-mini", "claude-sonnet-4", "acme-7b", "acme-13b", "acme-70b", "acme-voice")
AGENTS = ("router", "researcher", "writer", "")
TASKS = ("attribution_query", "chat-turn", "rag_query", "voice-turn")
CATEGORIES = ("LOW", "MEDIUM", "HIGH")
BATCH = 60


@dataclass(frozen=True)
class Data:
    """One row a trace: a root, a run of an agent (or none), a model call, and scores.

    `started` is milliseconds since the epoch, durations are milliseconds.
    """

    started: NDArray[np.int64]
    task: NDArray[np.str_]
    user: NDArray[np.str_]
    agent: NDArray[np.str_]
    model: NDArray[np.str_]
    cost: NDArray[np.float64]
    tokens: NDArray[np.int64]
    input_tokens: NDArray[np.int64]
    root_ms: NDArray[np.int64]
    agent_ms: NDArray[np.int64]
    call_ms: NDArray[np.int64]
    agent_failed: NDArray[np.bool_]
    call_failed: NDArray[np.bool_]
    quality: NDArray[np.float64]
    success: NDArray[np.bool_]
    tier: NDArray[np.str_]

    def since(self, days: int) -> NDArray[np.bool_]:
        """Return which rows lie in the last days, today included."""
        first = NOW.replace(hour=0) - timedelta(days=days - 1)
        found: NDArray[np.bool_] = self.started >= int(first.timestamp() * 1000)
        return found

    @property
    def date(self) -> NDArray[np.str_]:
        """The UTC day of each row."""
        days = [datetime.fromtimestamp(int(one) / 1000, UTC).date().isoformat() for one in self.started]
        return np.array(days)


def make_data(seed: int) -> Data:
    """Return reproducible data; two of the last seven days have no cost at all."""
    random = np.random.default_rng(seed)
    minutes = random.integers(1, DAYS * 24 * 60, TRACES)
    quiet = {2, 4}
    now_ms = int(NOW.timestamp() * 1000)
    started = now_ms - minutes * 60_000
    days_back = np.array(
        [(NOW.date() - datetime.fromtimestamp(int(one) / 1000, UTC).date()).days for one in started]
    )
    started = np.where(np.isin(days_back, list(quiet)), started - 20 * 86_400_000, started)
    agent = random.choice(AGENTS, TRACES, p=[0.4, 0.2, 0.15, 0.25])
    tokens = random.integers(10, 4000, TRACES)
    return Data(
        started=started,
        task=random.choice(TASKS, TRACES),
        user=np.array([f"user-{number}" for number in random.zipf(1.3, TRACES) % USERS]),
        agent=agent,
        model=random.choice(MODELS, TRACES, p=[0.3, 0.25, 0.15, 0.1, 0.1, 0.05, 0.05]),
        cost=random.uniform(0.001, 0.2, TRACES).round(6),
        tokens=tokens,
        input_tokens=random.integers(5, tokens),
        root_ms=random.integers(500, 9000, TRACES),
        agent_ms=random.integers(300, 500, TRACES),
        call_ms=random.integers(20, 300, TRACES),
        agent_failed=(random.random(TRACES) < 0.2) & (agent != ""),
        call_failed=random.random(TRACES) < 0.1,
        quality=random.uniform(0, 1, TRACES).round(4),
        success=random.random(TRACES) < 0.7,
        tier=random.choice(CATEGORIES, TRACES),
    )


def push(client: httpx.Client, data: Data) -> None:
    """Send everything, and beside it what must not count: calls and scores of the canary."""
    spans: list[dict[str, Any]] = []
    scores: list[dict[str, Any]] = []
    for row in range(TRACES):
        subject, own = _trace(data, row)
        spans += own
        scores += _scores(data, row, subject)
    canary = {
        "langfuse.environment": "stack-canary",
        "langfuse.observation.type": "generation",
        "langfuse.observation.cost_details": json.dumps({"total": 1000.0}),
    }
    now_ms = int(NOW.timestamp() * 1000) - 1000
    spans.append(span(trace_id(), "canary", start=now_ms, attributes=canary))
    scores.append(
        {
            "traceId": trace_id(),
            "name": "quality",
            "value": 1000,
            "environment": "stack-canary",
            "timestamp": (NOW - timedelta(hours=1)).isoformat(),
        }
    )
    for first in range(0, len(spans), BATCH):
        send(client, *spans[first : first + BATCH])
    for first in range(0, len(scores), BATCH):
        answer = client.post("/api/public/scores", json=scores[first : first + BATCH])
        assert answer.status_code == 202, answer.text


def _trace(data: Data, row: int) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Return what scores are about (the agent's run, else the trace), and the spans."""
    trace, root, start = trace_id(), span_id(), int(data.started[row])
    common = {"langfuse.trace.name": str(data.task[row]), "user.id": str(data.user[row])}
    spans = [span(trace, "root", id=root, start=start, duration=int(data.root_ms[row]), attributes=common)]
    parent = root
    agent = str(data.agent[row])
    if agent:
        parent = span_id()
        # SDK 5 sends texts of metadata in quotes, others without.
        common = {**common, "langfuse.observation.metadata.agent": f'"{agent}"' if row % 2 else agent}
        attributes = {
            **common,
            "langfuse.observation.type": "agent",
            "langfuse.observation.level": "ERROR" if data.agent_failed[row] else "DEFAULT",
        }
        duration = int(data.agent_ms[row])
        spans.append(
            span(trace, agent, id=parent, parent=root, start=start, duration=duration, attributes=attributes)
        )
    call = {
        **common,
        "langfuse.observation.type": "generation",
        "langfuse.observation.level": "ERROR" if data.call_failed[row] else "DEFAULT",
        "langfuse.observation.model.name": str(data.model[row]),
        "langfuse.observation.usage_details": json.dumps(
            {"input": int(data.input_tokens[row]), "output": int(data.tokens[row] - data.input_tokens[row])}
        ),
        "langfuse.observation.cost_details": json.dumps({"total": float(data.cost[row])}),
    }
    duration = int(data.call_ms[row])
    spans.append(span(trace, "call", parent=parent, start=start, duration=duration, attributes=call))
    return ({"traceId": trace, "observationId": parent} if agent else {"traceId": trace}), spans


def _scores(data: Data, row: int, subject: dict[str, str]) -> list[dict[str, Any]]:
    time = datetime.fromtimestamp(int(data.started[row]) / 1000, UTC).isoformat()
    values = (
        ("quality", float(data.quality[row]), "NUMERIC"),
        ("task_success", int(data.success[row]), "BOOLEAN"),
        ("confidence_tier", str(data.tier[row]), "CATEGORICAL"),
    )
    return [
        {**subject, "name": name, "value": value, "dataType": kind, "timestamp": time}
        for name, value, kind in values
    ]
