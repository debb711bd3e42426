"""What is exported: for each kind the list of the API, and the columns of its tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

GROUPS = "core,basic,time,io,metadata,model,usage,prompt,metrics,trace_context"
"""Fields of observations. Each observation carries its trace's name, user, session, tags and release."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of thing.

    Attributes:
        path: its list in the API.
        query: what the list is always asked for.
        time: the field that decides the day; empty: not partitioned.
        filters: command line filter -> parameter of the list.
        columns: type of each column in Parquet; `json` is text.
        paged_by_number: whether the list has page numbers instead of cursors.
    """

    name: str
    path: str
    query: Mapping[str, str | int]
    time: str
    filters: Mapping[str, str]
    columns: Mapping[str, str]
    paged_by_number: bool = False


def _columns(kind: str, names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), kind)


OBSERVATIONS = Kind(
    "observations",
    "v2/observations",
    {"fields": GROUPS, "limit": 1000},
    "startTime",
    {
        "from": "fromStartTime",
        "to": "toStartTime",
        "environment": "environment",
        "name": "name",
        "user": "userId",
        "session": "sessionId",
        "trace": "traceId",
        "filter": "filter",
    },
    {
        **_columns("varchar", "id traceId parentObservationId projectId type name startTime endTime"),
        **_columns(
            "varchar", "completionStartTime createdAt environment level statusMessage version release"
        ),
        **_columns("varchar", "traceName userId sessionId promptId promptName model internalModelId"),
        **_columns("varchar", "usagePricingTierId usagePricingTierName input output"),
        **_columns("bigint", "promptVersion inputUsage outputUsage totalUsage"),
        **_columns("double", "inputCost outputCost totalCost latency timeToFirstToken"),
        **_columns("boolean", "isRootObservation public"),
        **_columns("json", "metadata modelParameters usageDetails costDetails tags"),
    },
)
EXPERIMENT_ITEMS = Kind(
    "experiment_items",
    "experiment-items",
    {
        "fields": "core,dataset,io,itemMetadata,experimentMetadata",
        "limit": 100,
        "fromStartTime": "1970-01-01T00:00:00.000Z",
    },
    "",
    {"from": "fromStartTime", "to": "toStartTime"},
    {
        **_columns("varchar", "id traceId startTime experimentId experimentName experimentDescription"),
        **_columns("varchar", "experimentItemId experimentDatasetId experimentItemVersion expectedOutput"),
        **_columns("json", "experimentMetadata experimentItemMetadata"),
    },
)
"""Which observation is the root of which item of which experiment; what it says is in the observations."""
SCORE_CONFIGS = Kind(
    "score_configs",
    "score-configs",
    {"limit": 100},
    "",
    {},
    {
        **_columns("varchar", "id name dataType description createdAt updatedAt"),
        **_columns("double", "minValue maxValue"),
        **_columns("boolean", "isArchived"),
        **_columns("json", "categories"),
    },
    paged_by_number=True,
)
MODELS = Kind(
    "models",
    "models",
    {"limit": 100},
    "",
    {},
    {
        **_columns("varchar", "id modelName matchPattern startDate unit tokenizerId"),
        **_columns("json", "tokenizerConfig pricingTiers prices"),
    },
    paged_by_number=True,
)
"""Those of the project; each server has the managed ones."""
ANNOTATION_QUEUES = Kind(
    "annotation_queues",
    "annotation-queues",
    {"limit": 100},
    "",
    {},
    {
        **_columns("varchar", "id name description createdAt updatedAt"),
        **_columns("json", "scoreConfigIds"),
    },
    paged_by_number=True,
)
ANNOTATION_ITEMS = Kind(
    "annotation_items",
    "annotation-queues",
    {"limit": 100},
    "",
    {},
    _columns("varchar", "id queueId queueName objectId objectType status completedAt createdAt updatedAt"),
    paged_by_number=True,
)
SCORES = Kind(
    "scores",
    "v3/scores",
    {"fields": "core,details,subject,annotation", "limit": 100},
    "timestamp",
    {"from": "fromTimestamp", "to": "toTimestamp", "environment": "environment", "trace": "traceId"},
    {
        **_columns("varchar", "id projectId name source timestamp environment createdAt updatedAt comment"),
        **_columns("varchar", "configId authorUserId queueId dataType"),
        **_columns("json", "value subject metadata"),
    },
)
DATASETS = Kind(
    "datasets",
    "v2/datasets",
    {"limit": 100},
    "",
    {},
    {
        **_columns("varchar", "id projectId name description createdAt updatedAt"),
        **_columns("json", "metadata inputSchema expectedOutputSchema"),
    },
    paged_by_number=True,
)
DATASET_ITEMS = Kind(
    "dataset_items",
    "dataset-items",
    {"limit": 100},
    "",
    {},
    {
        **_columns("varchar", "id datasetId datasetName status sourceTraceId sourceObservationId"),
        **_columns("varchar", "createdAt updatedAt"),
        **_columns("json", "input expectedOutput metadata"),
    },
    paged_by_number=True,
)
DATASET_ITEM_VERSIONS = Kind(
    "dataset_item_versions",
    "v2/datasets",
    {"limit": 100},
    "",
    {},
    DATASET_ITEMS.columns,
    paged_by_number=True,
)
"""All versions of the items that have several, the oldest of an item first."""
PROMPTS = Kind(
    "prompts",
    "v2/prompts",
    {"limit": 100},
    "",
    {},
    {
        **_columns("varchar", "id name type commitMessage"),
        **_columns("bigint", "version"),
        **_columns("json", "prompt config labels tags"),
    },
    paged_by_number=True,
)
COMMENTS = Kind(
    "comments",
    "comments",
    {"limit": 100},
    "",
    {},
    _columns("varchar", "id projectId objectType objectId content authorUserId createdAt updatedAt"),
    paged_by_number=True,
)
MEDIA = Kind(
    "media",
    "media",
    {},
    "",
    {},
    {
        **_columns(
            "varchar", "id contentType file sha256 traceId observationId datasetId datasetItemId field"
        ),
        **_columns("bigint", "contentLength"),
    },
)
"""A row a reference; the bytes are in `media/files`."""
KINDS = {
    kind.name: kind
    for kind in (
        SCORE_CONFIGS,
        PROMPTS,
        DATASETS,
        DATASET_ITEM_VERSIONS,
        DATASET_ITEMS,
        EXPERIMENT_ITEMS,
        OBSERVATIONS,
        MODELS,
        ANNOTATION_QUEUES,
        SCORES,
        ANNOTATION_ITEMS,
        COMMENTS,
        MEDIA,
    )
}
"""In the order in which an import needs them. Prices come late: what had no cost would get one by them."""
