"""What widgets can show: views with their dimensions and measures, chart types, presets."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from typing import Literal

ViewName = Literal["observations", "scores-numeric", "scores-boolean", "scores-categorical"]
ChartType = Literal[
    "LINE_TIME_SERIES",
    "AREA_TIME_SERIES",
    "BAR_TIME_SERIES",
    "HORIZONTAL_BAR",
    "VERTICAL_BAR",
    "PIE",
    "NUMBER",
    "HISTOGRAM",
    "PIVOT_TABLE",
]
Aggregation = Literal[
    "sum", "avg", "count", "max", "min", "p50", "p75", "p90", "p95", "p99", "histogram", "uniq"
]
Preset = Literal[
    "home-traces",
    "home-model-costs",
    "home-scores-table",
    "home-traces-obs-time-series",
    "home-model-usage",
    "home-users",
    "home-chart-scores",
    "home-latency-table-traces",
    "home-latency-table-generations",
    "home-latency-table-observations",
    "home-generation-latency",
    "home-score-analytics",
]

# Counts of distinct ids: every other aggregation of a text is refused by the server.
_TEXT_MEASURES = frozenset({"traceId", "uniqueUserIds", "uniqueSessionIds"})
_TEXT_AGGREGATIONS = ("count", "uniq")

_SCORE_DIMENSIONS = (
    *("sessionId", "traceName", "userId", "tags", "traceRelease", "traceVersion", "observationName"),
    *("observationModelName", "observationPromptName", "observationPromptVersion", "environment", "name"),
    *("source", "dataType", "configId", "timestampMonth", "timestampDay", "observationId"),
)
DIMENSIONS: Mapping[str, tuple[str, ...]] = {
    "observations": (
        *("environment", "type", "name", "level", "version", "userId", "sessionId", "tags", "release"),
        *("traceName", "traceRelease", "traceVersion", "providedModelName", "promptName", "promptVersion"),
        *("startTimeMonth", "toolNames", "calledToolNames", "costType", "usageType", "experimentDatasetId"),
    ),
    "scores-numeric": (*_SCORE_DIMENSIONS, "value"),
    "scores-boolean": (*_SCORE_DIMENSIONS, "booleanValue"),
    "scores-categorical": (*_SCORE_DIMENSIONS, "stringValue"),
}
MEASURES: Mapping[str, tuple[str, ...]] = {
    "observations": (
        *("count", "traceId", "uniqueUserIds", "uniqueSessionIds", "latency", "streamingLatency"),
        *("inputTokens", "outputTokens", "totalTokens", "outputTokensPerSecond", "tokensPerSecond"),
        *("inputCost", "outputCost", "totalCost", "timeToFirstToken", "countScores", "toolDefinitions"),
        *("toolCalls", "costByType", "usageByType"),
    ),
    "scores-numeric": ("count", "value"),
    "scores-boolean": ("count", "value"),
    "scores-categorical": ("count",),
}


def fault_of(
    view: str, dimensions: Iterable[str], metrics: Iterable[tuple[str, str]]
) -> tuple[str, str] | None:
    """Return why a view cannot serve a widget and what to write instead, or None.

    Args:
        view: the name of the view.
        dimensions: what the widget breaks down by.
        metrics: pairs of measure and aggregation.
    """
    for dimension in dimensions:
        if dimension not in DIMENSIONS[view]:
            return f"the view {view} has no dimension {dimension!r}", nearest(dimension, DIMENSIONS[view])
    for measure, aggregation in metrics:
        if measure not in MEASURES[view]:
            return f"the view {view} has no measure {measure!r}", nearest(measure, MEASURES[view])
        if measure in _TEXT_MEASURES and aggregation not in _TEXT_AGGREGATIONS:
            return f"{measure} cannot be aggregated by {aggregation}", "use uniq or count"
    return None


def nearest(name: str, known: Collection[str]) -> str:
    """Return what to write instead of an unknown name."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
