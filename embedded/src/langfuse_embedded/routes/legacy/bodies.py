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
        **_texts("externalId"),
        "input": Anything(),
        "output": Anything(),
        **_texts("sessionId", "userId"),
        "environment": Anything(),
        "metadata": Anything(),
        **_texts("release", "version"),
        "public": Boolean().nullish(),
        "tags": Array(String()).nullish(),
    }
)

_LEVEL = Enum("DEBUG", "DEFAULT", "WARNING", "ERROR").nullish()
_COMMON = Object(
    {
        "traceId": ID.nullish(),
        "environment": Anything(),
        **_texts("name"),
        **_times("startTime"),
        "metadata": Anything(),
        "input": Anything(),
        "output": Anything(),
        "level": _LEVEL,
        **_texts("statusMessage", "parentObservationId", "version"),
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
_USAGE_DETAILS = Union(
    # Two forms of OpenAI, of which any object may be one as far as this is concerned.
    Object({}, loose=True),
    Object({}, loose=True),
    Record(Anything()),
).nullish()
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


EVENT = _COMMON.extend({"id": ID})
"""A single event of the first SDKs, and the body of an event that creates one."""

_SPAN = EVENT.extend(_times("endTime"))
_GENERATION = EVENT.extend(
    {
        **_times("endTime", "completionStartTime"),
        "model": String().nullish(),
        "modelParameters": Record(_PARAMETER).nullish(),
        "usage": _USAGE,
        "usageDetails": _USAGE_DETAILS,
        "costDetails": _COST_DETAILS,
        "promptName": String().nullish(),
        "promptVersion": Number(integer=True).nullish(),
    }
).refine(_has_whole_prompt, "Invalid input")
_NAMED: dict[str, Schema] = {"traceId": ID.nullish(), **_texts("name"), **_times("startTime", "endTime")}
_MODEL: dict[str, Schema] = {
    **_times("completionStartTime"),
    "model": String().nullish(),
    "modelParameters": Record(_OLD_PARAMETER).nullish(),
}
_CHILD = _texts("parentObservationId")
_STATE: dict[str, Schema] = {"level": _LEVEL, **_texts("statusMessage", "version")}
_OLD_OBSERVATION = Object(
    {
        "id": ID.nullish(),
        "traceId": ID.nullish(),
        "type": Enum("GENERATION", "SPAN", "EVENT"),
        **_NAMED,
        **_MODEL,
        "input": Anything(),
        "output": Anything(),
        "usage": _USAGE,
        "usageDetails": _USAGE_DETAILS,
        "costDetails": _COST_DETAILS,
        "metadata": Anything(),
        **_CHILD,
        **_STATE,
    }
)


def _first(identity: dict[str, Schema], details: dict[str, Schema], parent: dict[str, Schema]) -> Object:
    return Object({**identity, **_NAMED, **details, **parent, **_STATE})


_SPAN_DETAILS: dict[str, Schema] = dict.fromkeys(("metadata", "input", "output"), Anything())
_GENERATION_DETAILS: dict[str, Schema] = {
    **_MODEL,
    "prompt": Anything(),
    "completion": Anything(),
    "usage": _USAGE,
    "metadata": Anything(),
}
# Only what creates an observation names its parent.
SPAN_POST = _first({"id": ID.nullish()}, _SPAN_DETAILS, _CHILD)
SPAN_PATCH = _first({"spanId": ID}, _SPAN_DETAILS, {})
GENERATION_POST = _first({"id": ID.nullish()}, _GENERATION_DETAILS, _CHILD)
GENERATION_PATCH = _first({"generationId": ID}, _GENERATION_DETAILS, {})
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
