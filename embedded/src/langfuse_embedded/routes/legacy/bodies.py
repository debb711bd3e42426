"""The bodies of the legacy batch that `dual` mode takes: traces, and observations of every type."""

from __future__ import annotations

from typing import Any

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
from langfuse_embedded.routes.score_intake import ID


def _texts(*names: str) -> dict[str, Schema]:
    return {name: String().nullish() for name in names}


def _times(*names: str) -> dict[str, Schema]:
    return {name: Datetime().nullish() for name in names}


ENVELOPE: dict[str, Schema] = {"id": ID, "timestamp": Datetime(), "metadata": Anything()}
"""What every event has beside its body."""

TRACE = Object(
    {
        "id": ID.nullish(),
        **_times("timestamp"),
        "name": String(max=1000).nullish(),
        **_texts("externalId", "sessionId", "userId", "release", "version"),
        "environment": Anything(),
        "input": Anything(),
        "output": Anything(),
        "metadata": Anything(),
        "public": Boolean().nullish(),
        "tags": Array(String()).nullish(),
    }
)

_COMMON = Object(
    {
        "traceId": ID.nullish(),
        **_texts("name", "statusMessage", "parentObservationId", "version"),
        **_times("startTime"),
        "environment": Anything(),
        "metadata": Anything(),
        "input": Anything(),
        "output": Anything(),
        "level": Enum("DEBUG", "DEFAULT", "WARNING", "ERROR").nullish(),
    }
)
_UNITS = Number(integer=True).nullish()
_OPENAI_UNITS = {"promptTokens": "input", "completionTokens": "output", "totalTokens": "total"}
_UNIT_NAMES = ("CHARACTERS", "TOKENS", "SECONDS", "MILLISECONDS", "IMAGES", "REQUESTS")


def _one_model(usage: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return usage in the names of today: in those of OpenAI it has no costs."""
    if usage is None or _OPENAI_UNITS.keys().isdisjoint(usage):
        return usage or None
    return {name: usage.get(old) for old, name in _OPENAI_UNITS.items()}


_USAGE = (
    Object(
        {
            **dict.fromkeys(("input", "output", "total"), _UNITS),
            "unit": Enum(*_UNIT_NAMES).nullish(),
            **dict.fromkeys(_OPENAI_UNITS, _UNITS),
            **dict.fromkeys(("inputCost", "outputCost", "totalCost"), Number().nullish()),
        }
    )
    .nullish()
    .transform(_one_model)
)
_USAGE_DETAILS = Record(Anything()).nullish()
"""Of usage details every value is taken that can be read as units, and the rest is dropped."""


def _numbers(details: dict[str, Any] | None) -> dict[str, float] | None:
    kept = {
        kind: cost
        for kind, cost in (details or {}).items()
        if isinstance(cost, int | float) and not isinstance(cost, bool) and cost >= 0
    }
    return kept or None


_COST_DETAILS = Record(Anything()).nullish().transform(_numbers)
_PARAMETER = Union(String(), Number(), Boolean(), Array(String()), Record(String())).nullish()
_OLD_PARAMETER = Union(String(), Number(), Boolean()).nullish()


def _has_whole_prompt(body: dict[str, Any]) -> bool:
    return bool(body.get("promptName")) == bool(body.get("promptVersion"))


_MEASURED: dict[str, Schema] = {
    **_times("endTime", "completionStartTime"),
    "model": String().nullish(),
    "usage": _USAGE,
    "usageDetails": _USAGE_DETAILS,
    "costDetails": _COST_DETAILS,
}
EVENT = _COMMON.extend({"id": ID})
"""A single event of the first SDKs, and the body of an event that creates one."""

_SPAN = EVENT.extend(_times("endTime"))
_GENERATION = EVENT.extend(
    {
        **_MEASURED,
        "modelParameters": Record(_PARAMETER).nullish(),
        "promptName": String().nullish(),
        "promptVersion": Number(integer=True).nullish(),
    }
).refine(_has_whole_prompt, "Invalid input")
_OLD_OBSERVATION = _COMMON.extend(
    {
        "id": ID.nullish(),
        **_MEASURED,
        "type": Enum("GENERATION", "SPAN", "EVENT"),
        "modelParameters": Record(_OLD_PARAMETER).nullish(),
    }
)

_FIRST = _COMMON.extend(_times("endTime"))
_FIRST_GENERATION = _FIRST.extend(
    {
        **_times("completionStartTime"),
        "model": String().nullish(),
        "usage": _USAGE,
        "prompt": Anything(),
        "completion": Anything(),
        "modelParameters": Record(_OLD_PARAMETER).nullish(),
    }
)
SPAN_POST, SPAN_PATCH = _FIRST.extend({"id": ID.nullish()}), _FIRST.extend({"spanId": ID})
GENERATION_POST = _FIRST_GENERATION.extend({"id": ID.nullish()})
GENERATION_PATCH = _FIRST_GENERATION.extend({"generationId": ID})
"""The requests of the first SDKs, one observation each."""

CREATED = {
    "event-create": (EVENT, "EVENT"),
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
    "span-update": (_SPAN, "SPAN"),
    "generation-update": (_GENERATION, "GENERATION"),
}
"""The same for the events that add to one."""

TYPED = {"observation-create": _OLD_OBSERVATION, "observation-update": _OLD_OBSERVATION}
"""Bodies that name the type of their observation themselves."""

UPDATES = frozenset((*UPDATED, "observation-update"))
"""The types of events that are taken after all others of a batch."""

FOR_INTERNAL_USE = Object(
    {
        "id": ID.nullish(),
        **dict.fromkeys(("traceId", "datasetId", "runId", "datasetItemId"), String()),
        **_texts("observationId", "error"),
        **_times("createdAt", "datasetVersion"),
    }
)
"""The body of an event that only the server itself may send."""
