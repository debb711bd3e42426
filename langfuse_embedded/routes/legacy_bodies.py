"""The bodies of the legacy batch that `dual` mode takes: traces, and observations of every type."""

from __future__ import annotations

from langfuse_embedded.http.schema import (
    Anything,
    Array,
    Boolean,
    Datetime,
    Enum,
    Number,
    Object,
    Record,
    Schema,
    String,
    Union,
)

_TYPES = (
    "SPAN",
    "EVENT",
    "GENERATION",
    "AGENT",
    "TOOL",
    "CHAIN",
    "RETRIEVER",
    "EVALUATOR",
    "EMBEDDING",
    "GUARDRAIL",
)


def _texts(*names: str) -> dict[str, Schema]:
    return {name: String().nullish() for name in names}


def _times(*names: str) -> dict[str, Schema]:
    return {name: Datetime().nullish() for name in names}


TRACE = Object(
    {
        **_texts("id", "name", "externalId", "sessionId", "userId", "release", "version"),
        **_times("timestamp"),
        "environment": Anything(),
        "input": Anything(),
        "output": Anything(),
        "metadata": Anything(),
        "public": Boolean().nullish(),
        "tags": Array(String()).nullish(),
    }
)

_EVENT = Object(
    {
        **_texts("id", "traceId", "name", "statusMessage", "parentObservationId", "version"),
        **_times("startTime"),
        "environment": Anything(),
        "metadata": Anything(),
        "input": Anything(),
        "output": Anything(),
        "level": Enum("DEBUG", "DEFAULT", "WARNING", "ERROR").nullish(),
    }
)
_SPAN = _EVENT.extend(_times("endTime"))
_UNITS = Number(integer=True).nullish()
_GENERATION = _SPAN.extend(
    {
        **_times("completionStartTime"),
        **_texts("model", "promptName"),
        "promptVersion": Number(integer=True).nullish(),
        "modelParameters": Record(Anything()).nullish(),
        "usage": Object(
            {
                **dict.fromkeys(
                    ("input", "output", "total", "promptTokens", "completionTokens", "totalTokens"), _UNITS
                ),
                **dict.fromkeys(("inputCost", "outputCost", "totalCost"), Number().nullish()),
                "unit": String().nullish(),
            }
        ).nullish(),
        "usageDetails": Record(Union(Number(), Record(Anything())).nullish()).nullish(),
        "costDetails": Record(Number().nullish()).nullish(),
    }
)
_WITH_ID: dict[str, Schema] = {"id": String()}

CREATED = {
    "event-create": (_EVENT, "EVENT"),
    "span-create": (_SPAN, "SPAN"),
    **{
        f"{kind}-create": (_GENERATION, kind.upper())
        for kind in (
            "generation",
            "agent",
            "tool",
            "chain",
            "retriever",
            "evaluator",
            "embedding",
            "guardrail",
        )
    },
}
"""Bodies and observation types of the events that create an observation."""

UPDATED = {
    "span-update": (_SPAN.extend(_WITH_ID), "SPAN"),
    "generation-update": (_GENERATION.extend(_WITH_ID), "GENERATION"),
}
"""The same for the events that add to one; they must name it."""

TYPED = {
    "observation-create": _GENERATION.extend({"type": Enum(*_TYPES)}),
    "observation-update": _GENERATION.extend({**_WITH_ID, "type": Enum(*_TYPES)}),
}
"""Bodies that name the type of their observation themselves."""
