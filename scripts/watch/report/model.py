"""What a report contains, as data: costs in USD, latencies in seconds, shares from 0 to 1."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

GROUPS = ("model", "agent", "user", "task")
"""By what cost is broken down. A task is the name of a trace."""
NONE, OTHER, TOTAL = "(none)", "(other)", "total"


@dataclass(frozen=True, slots=True)
class Cost:
    """What the model calls of a group cost."""

    name: str
    cost: float
    tokens: int
    input_tokens: int
    calls: int

    @property
    def is_named(self) -> bool:
        """Whether this is a group, and not the rest or the sum of groups."""
        return self.name not in {NONE, OTHER, TOTAL}


@dataclass(frozen=True, slots=True)
class Latency:
    """How long the things of a group took, and how many observations ended in errors.

    Attributes:
        count: how many were measured.
        p50, p95, p99: seconds; None where nothing was measured.
        errors: share of observations of level ERROR: of the task, of the agent, or of calls of the model.
    """

    name: str
    count: int
    p50: float | None
    p95: float | None
    p99: float | None
    errors: float | None


@dataclass(frozen=True, slots=True)
class Agent:
    """What an agent did and what it cost.

    Attributes:
        runs: observations of type AGENT with its name.
        success: average of the score `task_success` on them; None without any.
        quality: average of the score `quality` on them; None without any.
        cost: USD of the model calls with its name as the metadata `agent`.
        tokens: of these calls.
        input_share: which part of the tokens was input, from 0 to 1; None without tokens.
    """

    name: str
    runs: int
    success: float | None
    quality: float | None
    cost: float
    cost_per_run: float | None
    tokens: int
    input_share: float | None


@dataclass(frozen=True, slots=True)
class Average:
    """Number and average of a numeric or boolean score."""

    name: str
    count: int
    average: float


@dataclass(frozen=True, slots=True)
class Category:
    """How often a categorical score had a value."""

    name: str
    value: str
    count: int
    share: float


@dataclass(frozen=True, slots=True)
class Window:
    """The last days, today included.

    Attributes:
        costs: by group, dearest first, with rows for none, others and all.
        agents: the most frequent first.
        latencies: by `task`, `agent` and `model`, the most frequent first; then one for all tasks or models.
    """

    days: int
    start: datetime
    costs: dict[str, list[Cost]]
    agents: list[Agent]
    latencies: dict[str, list[Latency]]
    averages: list[Average]
    categories: list[Category]


@dataclass(frozen=True, slots=True)
class Projection:
    """Where costs lead when the days go on as the last ones.

    Attributes:
        daily: average cost of the last seven complete days, or of those from the first day with any cost on;
            None where there is no such day.
        days: how many days these are.
        month_to_date: cost of this month until now.
        month_end: cost of this month at its end.
        next_30_days: 30 times the daily cost.
        next_365_days: 365 times the daily cost.
        estimated: there is no complete day with cost yet: the daily cost continues the pace of today.
    """

    daily: float | None
    days: int
    month_to_date: float
    month_end: float | None
    next_30_days: float | None
    next_365_days: float | None
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Fixed:
    """What `config/costs.yaml` adds to metered calls, USD.

    Attributes:
        subscriptions: fees of a month.
        free: what calls of this month cost on paper that free tiers cover.
    """

    subscriptions: float = 0.0
    free: float = 0.0

    @property
    def stated(self) -> bool:
        """Whether there is anything to show."""
        return bool(self.subscriptions or self.free)


@dataclass(frozen=True, slots=True)
class Day:
    """A UTC day and what it cost, by model."""

    date: str
    cost: float
    by_model: dict[str, float]


@dataclass(frozen=True, slots=True)
class Point:
    """Number and average of a score on one UTC day."""

    date: str
    count: int
    average: float


@dataclass(frozen=True, slots=True)
class Report:
    """Everything about one project."""

    project: str
    taken: datetime
    windows: list[Window]
    days: list[Day]
    projection: Projection
    fixed: Fixed
    trends: dict[str, list[Point]]
