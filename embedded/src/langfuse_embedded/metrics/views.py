"""What `GET /api/public/v2/metrics` can be asked: the names are the API's, the expressions are ours."""

from __future__ import annotations

from collections.abc import Mapping

from .model import COUNT, DISTINCT, SUM, Dimension, Measure, Relation, View


def text(column: str, *, relation: str | None = None, high_cardinality: bool = False) -> Dimension:
    """Return a dimension over a stored text whose empty value means "none"."""
    return Dimension(
        f"nullif({column}, '')",
        relation=relation,
        high_cardinality=high_cardinality,
        filler=None,
        filter_sql=column,
        # The column keeps its dictionary, an expression over it does not: a fifth of the whole query.
        group_sql=column,
    )


def month(column: str) -> Dimension:
    """Return the dimension `YYYY-MM` of a time."""
    return Dimension(f"strftime(epoch_ms({column}), '%Y-%m')")


def day(column: str) -> Dimension:
    """Return the dimension `YYYY-MM-DD` of a time."""
    return Dimension(f"strftime(epoch_ms({column}), '%Y-%m-%d')")


def prompt_version(alias: str, relation: str | None = None) -> Dimension:
    """Return the dimension of the linked prompt's version: a number, filtered as a text."""
    column = f"{alias}.prompt_version"
    return Dimension(column, relation=relation, filler=None, filter_sql=f"{column}::varchar")


def _seconds(start: str, end: str) -> str:
    # The server counts the boundaries of whole seconds between the two, not the time that passed.
    return f"nullif({end} // 1000 - {start} // 1000, 0)"


OBSERVATION_MEASURES: Mapping[str, Measure] = {
    "count": Measure("1", per_entity=COUNT),
    "traceId": Measure("o.trace_id", "string"),
    "uniqueUserIds": Measure("nullif(o.user_id, '')", "string", nullable=True),
    "uniqueSessionIds": Measure("nullif(o.session_id, '')", "string", nullable=True),
    "latency": Measure("o.end_time - o.start_time", nullable=True),
    "streamingLatency": Measure("o.end_time - o.completion_start_time", nullable=True),
    "inputTokens": Measure("o.input_tokens"),
    "outputTokens": Measure("o.output_tokens"),
    "totalTokens": Measure("o.total_tokens", per_entity=SUM),
    "outputTokensPerSecond": Measure(
        f"o.output_tokens / {_seconds('o.completion_start_time', 'o.end_time')}", "decimal", nullable=True
    ),
    "tokensPerSecond": Measure(
        f"o.total_tokens / {_seconds('o.start_time', 'o.end_time')}",
        "decimal",
        nullable=True,
        per_entity=SUM,
    ),
    "inputCost": Measure("o.input_cost", "decimal"),
    "outputCost": Measure("o.output_cost", "decimal"),
    "totalCost": Measure("o.total_cost", "decimal", nullable=True, per_entity=SUM),
    "timeToFirstToken": Measure("o.completion_start_time - o.start_time", nullable=True),
    "countScores": Measure("s.id", per_entity=DISTINCT, relation="scores"),
    "toolDefinitions": Measure("nullif(len(o.tool_names), 0)", nullable=True),
    "toolCalls": Measure("nullif(len(o.called_tool_names), 0)", nullable=True),
}
"""What both the current and the legacy view of observations measure."""

SCORES_OF_OBSERVATION = Relation(
    "scores", "s", "s.project = o.project and s.observation_id = o.id", "s.timestamp"
)

OBSERVATIONS = View(
    source="observations o",
    key="o.id",
    time="o.start_time",
    time_name="start_time",
    project="o.project",
    metadata="observation_metadata",
    metadata_row="o.seq",
    dimensions={
        "id": Dimension("o.id", high_cardinality=True),
        "traceId": Dimension("o.trace_id", high_cardinality=True),
        "environment": text("o.environment"),
        "parentObservationId": text("o.parent_id", high_cardinality=True),
        "isRootObservation": Dimension("o.is_root", "boolean", filler=False),
        "type": Dimension("o.type"),
        "name": Dimension("o.name"),
        "level": Dimension("o.level"),
        "version": text("o.version"),
        "userId": text("o.user_id", high_cardinality=True),
        "sessionId": text("o.session_id", high_cardinality=True),
        "tags": Dimension("o.tags", "string[]", filler=[]),
        "release": text("o.release"),
        "traceName": text("o.trace_name"),
        "traceRelease": text("o.release"),
        "traceVersion": text("o.version"),
        "providedModelName": text("o.model"),
        "promptName": text("o.prompt_name"),
        "promptVersion": prompt_version("o"),
        "startTimeMonth": month("o.start_time"),
        "toolNames": Dimension("o.tool_names", "arrayString", explode=True),
        "calledToolNames": Dimension("o.called_tool_names", "arrayString", explode=True),
        "costType": Dimension("o.cost_types", pair="o.cost_values"),
        "usageType": Dimension("o.usage_types", pair="o.usage_values"),
        "experimentName": text("o.experiment_name", high_cardinality=True),
        "experimentDatasetId": text("o.experiment_dataset_id", high_cardinality=True),
        "experimentId": text("o.experiment_id", high_cardinality=True),
    },
    measures={
        **OBSERVATION_MEASURES,
        "costByType": Measure("pair_value", "decimal", pair_of="costType"),
        "usageByType": Measure("pair_value", pair_of="usageType"),
    },
    relations={"scores": SCORES_OF_OBSERVATION},
)

_ROOT = Relation(
    "observations",
    "r",
    "r.project = s.project and r.trace_id = s.trace_id and r.parent_id = ''",
    "r.start_time",
)
_OBSERVATION = Relation(
    "observations",
    "o",
    "o.project = s.project and o.trace_id = s.trace_id and o.id = s.observation_id",
    "o.start_time",
)
_SCORE_RELATIONS: Mapping[str, Relation] = {"trace": _ROOT, "observation": _OBSERVATION}

_SCORE_CONTEXT: Mapping[str, Dimension] = {
    "sessionId": Dimension("s.session_id", high_cardinality=True, filler=None),
    "datasetRunId": Dimension("s.experiment_id", high_cardinality=True, filler=None),
    "traceName": text("r.trace_name", relation="trace"),
    "userId": text("r.user_id", relation="trace", high_cardinality=True),
    "tags": Dimension("r.tags", "string[]", relation="trace", filler=[]),
    "traceRelease": text("r.release", relation="trace"),
    "traceVersion": text("r.version", relation="trace"),
    "observationName": Dimension("o.name", relation="observation"),
    "observationModelName": text("o.model", relation="observation"),
    "observationPromptName": text("o.prompt_name", relation="observation"),
    "observationPromptVersion": prompt_version("o", relation="observation"),
    "experimentName": text("o.experiment_name", relation="observation", high_cardinality=True),
    "experimentId": text("o.experiment_id", relation="observation", high_cardinality=True),
}


def score_dimensions(*, high_cardinality: bool) -> dict[str, Dimension]:
    """Return the dimensions that are on the score itself."""
    return {
        "id": Dimension("s.id", high_cardinality=high_cardinality),
        "environment": Dimension("s.environment"),
        "name": Dimension("s.name"),
        "source": Dimension("s.source"),
        "dataType": Dimension("s.data_type"),
        "traceId": Dimension("s.trace_id", high_cardinality=high_cardinality, filler=None),
        "configId": Dimension("s.config_id", filler=None),
        "timestampMonth": month("s.timestamp"),
        "timestampDay": day("s.timestamp"),
        "observationId": Dimension("s.observation_id", high_cardinality=high_cardinality, filler=None),
    }


def score_views(
    context: Mapping[str, Dimension],
    own: Mapping[str, Dimension],
    relations: Mapping[str, Relation],
) -> dict[str, View]:
    """Return the three views of scores, which differ in the scores that count and in how a value reads."""
    count = {"count": Measure("1", per_entity=COUNT)}
    value = {"value": Measure("s.value", "number")}
    kinds = {
        "scores-numeric": (
            "s.data_type in ('NUMERIC', 'BOOLEAN')",
            {"value": Dimension("s.value", "number", filler=0)},
            {**count, **value},
        ),
        "scores-categorical": (
            "s.data_type = 'CATEGORICAL'",
            {"stringValue": Dimension("s.string_value", filler=None)},
            count,
        ),
        "scores-boolean": (
            "s.data_type = 'BOOLEAN'",
            {"booleanValue": Dimension("s.value <> 0", "boolean", filler=False)},
            {**count, **value},
        ),
    }
    return {
        name: View(
            source="scores s",
            key="s.id",
            time="s.timestamp",
            time_name="timestamp",
            project="s.project",
            metadata="score_metadata",
            metadata_row="s.seq",
            dimensions={**context, **own, **by_value},
            measures=measures,
            relations=relations,
            condition=condition,
        )
        for name, (condition, by_value, measures) in kinds.items()
    }


VIEWS: Mapping[str, View] = {
    "observations": OBSERVATIONS,
    **score_views(_SCORE_CONTEXT, score_dimensions(high_cardinality=True), _SCORE_RELATIONS),
}
