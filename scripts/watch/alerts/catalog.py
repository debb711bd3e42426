"""What alerts can watch: metrics, the ways to group and to filter them, and how the Metrics API names both.

Any name that is not listed here is the name of a score; `score:llm_cost` means a score of a listed name.
Source: the views of `GET /api/public/v2/metrics`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .expression import PERCENTILES

OBSERVATIONS = "observations"
NUMERIC_SCORES = "scores-numeric"
CATEGORICAL_SCORES = "scores-categorical"

Filter = dict[str, Any]

_DISTRIBUTION = ("avg", "min", "max", *PERCENTILES)
_AMOUNT = ("sum", "avg", "max", "projected")


def one_of(column: str, *values: str) -> Filter:
    """Return the filter that the column has one of the values."""
    return {"column": column, "operator": "any of", "value": list(values), "type": "stringOptions"}


_ROOT: Filter = {"column": "isRootObservation", "operator": "=", "value": True, "type": "boolean"}
_MODEL_CALLS = one_of("type", "GENERATION", "EMBEDDING")
_ERRORS = one_of("level", "ERROR")
AGENT_TYPE = one_of("type", "AGENT")
AGENT_KEY = "agent"
"""Metadata of a model call that names the agent on whose behalf it was made."""


def of_agent(agent: str) -> list[Filter]:
    """Return two filters for the metadata of an agent's calls, of which a call fits exactly one.

    SDK 5 sends texts of metadata in quotes, other senders without; a server may compare with what was sent.
    """
    return [
        {"column": "metadata", "operator": "=", "value": text, "type": "stringObject", "key": AGENT_KEY}
        for text in (agent, f'"{agent}"')
    ]


@dataclass(frozen=True, slots=True)
class Metric:
    """Something measurable.

    Attributes:
        family: the Prometheus metric that carries it, with its unit.
        unit: as people read it: `USD`, `seconds`, `tokens`, or empty.
        view: of the Metrics API.
        measure: of that view; `count` counts rows.
        statistics: the aggregates that make sense, besides `count`.
        filters: what rows belong to it.
        numerator: for a ratio: what rows count; its `avg` is their share.
        scale: a value of the API times this is the value in `unit`.
        by_agent: whether its rows can be those of agents (observations of type AGENT).
        of_calls: whether its rows are model calls whose amounts add up: those of an agent name it in their
            metadata, by which the Metrics API selects but does not group.
        distinct: the measure counts distinct values instead of rows.
    """

    family: str
    unit: str
    view: str
    measure: str
    statistics: tuple[str, ...]
    filters: tuple[Filter, ...] = ()
    numerator: Filter | None = None
    scale: float = 1.0
    by_agent: bool = False
    of_calls: bool = False
    distinct: bool = False


def _latency(family: str, measure: str, *filters: Filter, by_agent: bool = False) -> Metric:
    return Metric(
        family, "seconds", OBSERVATIONS, measure, _DISTRIBUTION, filters, scale=0.001, by_agent=by_agent
    )


def _rows(family: str, *filters: Filter, by_agent: bool = False, of_calls: bool = False) -> Metric:
    return Metric(
        family, "", OBSERVATIONS, "count", ("projected",), filters, by_agent=by_agent, of_calls=of_calls
    )


def _amount(family: str, unit: str, measure: str) -> Metric:
    return Metric(family, unit, OBSERVATIONS, measure, _AMOUNT, (_MODEL_CALLS,), of_calls=True)


METRICS: dict[str, Metric] = {
    "llm_cost": _amount("langfuse_llm_cost_usd", "USD", "totalCost"),
    "tokens": _amount("langfuse_tokens", "tokens", "totalTokens"),
    "input_tokens": _amount("langfuse_input_tokens", "tokens", "inputTokens"),
    "output_tokens": _amount("langfuse_output_tokens", "tokens", "outputTokens"),
    "latency": _latency("langfuse_trace_latency_seconds", "latency", _ROOT),
    "llm_latency": _latency("langfuse_generation_latency_seconds", "latency", _MODEL_CALLS),
    "observation_latency": _latency("langfuse_observation_latency_seconds", "latency", by_agent=True),
    "time_to_first_token": _latency("langfuse_time_to_first_token_seconds", "timeToFirstToken", _MODEL_CALLS),
    "error_rate": Metric(
        "langfuse_error_ratio", "", OBSERVATIONS, "count", ("avg",), numerator=_ERRORS, by_agent=True
    ),
    "traces": _rows("langfuse_traces", _ROOT),
    "observations": _rows("langfuse_observations", by_agent=True),
    "generations": _rows("langfuse_generations", _MODEL_CALLS, of_calls=True),
    "users": Metric("langfuse_users", "", OBSERVATIONS, "uniqueUserIds", (), distinct=True),
    "sessions": Metric("langfuse_sessions", "", OBSERVATIONS, "uniqueSessionIds", (), distinct=True),
}
SCORE_FAMILY = "langfuse_score"
_SCORE = Metric(
    SCORE_FAMILY, "", NUMERIC_SCORES, "value", ("avg", "sum", "min", "max", *PERCENTILES, "share")
)
_CATEGORICAL_SCORE = Metric(SCORE_FAMILY, "", CATEGORICAL_SCORES, "count", ("share",))


@dataclass(frozen=True, slots=True)
class Dimension:
    """A property to group or filter by: its column among observations and among scores."""

    of_observations: str
    of_scores: str
    array: bool = False

    def column(self, view: str) -> str:
        """Return the column in a view of the Metrics API."""
        return self.of_observations if view == OBSERVATIONS else self.of_scores


DIMENSIONS: dict[str, Dimension] = {
    "model": Dimension("providedModelName", "observationModelName"),
    "trace_name": Dimension("traceName", "traceName"),
    "user": Dimension("userId", "userId"),
    "environment": Dimension("environment", "environment"),
    "tag": Dimension("tags", "tags", array=True),
    "agent": Dimension("name", "observationName"),
    "release": Dimension("release", "traceRelease"),
}


def dimension_of(group_by: str) -> Dimension:
    """Return the dimension that a grouping is by; `tag:gap:` groups by the tags that begin with `gap:`."""
    return DIMENSIONS[group_by.partition(":")[0]]


def is_array(group_by: str) -> bool:
    """Return whether a row can belong to several groups of this grouping."""
    return bool(group_by) and dimension_of(group_by).array


def is_score(name: str) -> bool:
    """Return whether the name of a metric is that of a score."""
    return name not in METRICS


def score_name(name: str) -> str:
    """Return the score that a metric's name means."""
    return name.removeprefix("score:")


def find_metric(name: str, *, categorical: bool = False) -> Metric:
    """Return the metric of that name; `categorical` for a score whose values are texts."""
    return METRICS.get(name) or (_CATEGORICAL_SCORE if categorical else _SCORE)
