"""What `GET /api/public/metrics` of `dual` mode can be asked: traces are a view, and are joined."""

from __future__ import annotations

from collections.abc import Mapping

from .model import COUNT, DISTINCT, SUM, Dimension, Measure, Relation, View
from .views import (
    OBSERVATION_MEASURES,
    SCORES_OF_OBSERVATION,
    month,
    prompt_version,
    score_dimensions,
    score_views,
    text,
)

_OF_TRACE: Mapping[str, Dimension] = {
    "traceName": text("t.name", relation="traces"),
    "tags": Dimension("t.tags", "string[]", relation="traces", filler=[]),
    "userId": text("t.user_id", relation="traces"),
    "sessionId": text("t.session_id", relation="traces"),
    "traceRelease": text("t.release", relation="traces"),
    "traceVersion": text("t.version", relation="traces"),
}
# What the legacy batch said of a trace itself is not an observation.
_NO_TRACE = "o.id <> 't-' || o.trace_id"
_NOT_LEGACY = ("traceId", "uniqueUserIds", "uniqueSessionIds")

_TRACES = View(
    source="traces t",
    key="t.id",
    time="t.timestamp",
    time_name="timestamp",
    project="t.project",
    metadata="observation_metadata",
    metadata_row="t.root",
    dimensions={
        "id": Dimension("t.id"),
        "name": text("t.name"),
        "tags": Dimension("t.tags", "string[]", filler=[]),
        "userId": text("t.user_id"),
        "sessionId": text("t.session_id"),
        "release": text("t.release"),
        "version": text("t.version"),
        "environment": Dimension("t.environment"),
        "timestampMonth": month("t.timestamp"),
    },
    measures={
        "count": Measure("1", per_entity=COUNT),
        "observationsCount": Measure("o.id", per_entity=DISTINCT, relation="observations"),
        "scoresCount": Measure("s.id", per_entity=DISTINCT, relation="scores"),
        # One of a trace, or none: how many a group has together is their sum.
        "uniqueUserIds": Measure("(t.user_id <> '')::integer"),
        "uniqueSessionIds": Measure("(t.session_id <> '')::integer"),
        "latency": Measure(
            "o.start_time",
            nullable=True,
            per_entity="max(o.end_time) - min({})",
            relation="observations",
        ),
        "totalTokens": Measure("o.total_tokens", per_entity=SUM, relation="observations"),
        "totalCost": Measure("o.total_cost", "decimal", per_entity=SUM, relation="observations"),
    },
    relations={
        "observations": Relation(
            "observations",
            "o",
            f"o.project = t.project and o.trace_id = t.id and {_NO_TRACE}",
            "o.start_time",
        ),
        "scores": Relation("scores", "s", "s.project = t.project and s.trace_id = t.id", "s.timestamp"),
    },
)

_OBSERVATIONS = View(
    source="observations o",
    key="o.id",
    time="o.start_time",
    time_name="start_time",
    project="o.project",
    metadata="observation_metadata",
    metadata_row="o.seq",
    dimensions={
        "id": Dimension("o.id"),
        "traceId": Dimension("o.trace_id"),
        "traceName": _OF_TRACE["traceName"],
        "environment": Dimension("o.environment"),
        "parentObservationId": text("o.parent_id"),
        "type": Dimension("o.type"),
        "name": Dimension("o.name"),
        "level": Dimension("o.level"),
        "version": text("o.version"),
        "tags": _OF_TRACE["tags"],
        "providedModelName": text("o.model"),
        "promptName": text("o.prompt_name"),
        "promptVersion": prompt_version("o"),
        "userId": _OF_TRACE["userId"],
        "sessionId": _OF_TRACE["sessionId"],
        "traceRelease": _OF_TRACE["traceRelease"],
        "traceVersion": _OF_TRACE["traceVersion"],
        "startTimeMonth": month("o.start_time"),
        "toolNames": Dimension("o.tool_names", "arrayString", explode=True),
        "calledToolNames": Dimension("o.called_tool_names", "arrayString", explode=True),
    },
    measures={name: one for name, one in OBSERVATION_MEASURES.items() if name not in _NOT_LEGACY},
    condition=_NO_TRACE,
    relations={
        "traces": Relation("traces", "t", "t.project = o.project and t.id = o.trace_id", "t.timestamp"),
        "scores": SCORES_OF_OBSERVATION,
    },
)

_SCORE_CONTEXT: Mapping[str, Dimension] = {
    **_OF_TRACE,
    "observationName": Dimension("o.name", relation="observations"),
    "observationModelName": text("o.model", relation="observations"),
    "observationPromptName": text("o.prompt_name", relation="observations"),
    "observationPromptVersion": prompt_version("o", relation="observations"),
}
_SCORE_RELATIONS: Mapping[str, Relation] = {
    "traces": Relation("traces", "t", "t.project = s.project and t.id = s.trace_id", "t.timestamp"),
    "observations": Relation(
        "observations", "o", "o.project = s.project and o.id = s.observation_id", "o.start_time"
    ),
}

VIEWS: Mapping[str, View] = {
    "traces": _TRACES,
    "observations": _OBSERVATIONS,
    **score_views(_SCORE_CONTEXT, score_dimensions(high_cardinality=False), _SCORE_RELATIONS),
}
