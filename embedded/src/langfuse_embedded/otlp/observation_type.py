"""The type of an observation: rules in order of priority, the first that knows an answer wins."""

from __future__ import annotations

from langfuse_embedded.javascript.values import string, whole_number

from .batch import Attributes

_TYPES_BY_ATTRIBUTE: tuple[tuple[str, dict[str, str]], ...] = (
    (
        "langfuse.observation.type",
        {
            "span": "SPAN",
            "generation": "GENERATION",
            "event": "EVENT",
            "embedding": "EMBEDDING",
            "agent": "AGENT",
            "tool": "TOOL",
            "chain": "CHAIN",
            "retriever": "RETRIEVER",
            "guardrail": "GUARDRAIL",
            "evaluator": "EVALUATOR",
        },
    ),
    (
        "openinference.span.kind",
        {
            "LLM": "GENERATION",
            "CHAIN": "CHAIN",
            "RETRIEVER": "RETRIEVER",
            "EMBEDDING": "EMBEDDING",
            "AGENT": "AGENT",
            "TOOL": "TOOL",
            "GUARDRAIL": "GUARDRAIL",
            "EVALUATOR": "EVALUATOR",
        },
    ),
    (
        "gen_ai.operation.name",
        {
            "chat": "GENERATION",
            "completion": "GENERATION",
            "text_completion": "GENERATION",
            "generate_content": "GENERATION",
            "generate": "GENERATION",
            "embeddings": "EMBEDDING",
            "invoke_agent": "AGENT",
            "create_agent": "AGENT",
            "execute_tool": "TOOL",
        },
    ),
    (
        "genkit:metadata:subtype",
        {
            "model": "GENERATION",
            "background-model": "GENERATION",
            "embedder": "EMBEDDING",
            "tool": "TOOL",
            "tool.v2": "TOOL",
            "retriever": "RETRIEVER",
            "evaluator": "EVALUATOR",
        },
    ),
)
"""Attributes that name the type in a vocabulary of their own; an unknown word leaves it to the next rule."""

_AI_SDK_TYPES = {
    "ai.generateText.doGenerate": "GENERATION",
    "ai.streamText.doStream": "GENERATION",
    "ai.generateObject.doGenerate": "GENERATION",
    "ai.streamObject.doStream": "GENERATION",
    "ai.embedMany.doEmbed": "EMBEDDING",
    "ai.embed.doEmbed": "EMBEDDING",
}
_AI_SDK_MODEL_KEYS = (
    "langfuse.observation.model.name",
    "ai.model.id",
    "gen_ai.request.model",
    "gen_ai.response.model",
)

_TYPES_BY_PRESENCE: tuple[tuple[str, str], ...] = (
    ("gen_ai.tool.name", "TOOL"),
    ("gen_ai.tool.call.id", "TOOL"),
    ("flue.tool.name", "TOOL"),
    ("flue.tool.call_id", "TOOL"),
    ("flue.task.id", "AGENT"),
    ("flue.task.agent", "AGENT"),
)
"""Attributes whose mere presence tells the type."""

_LIVEKIT_TYPES = {"agent_turn": "AGENT", "start_agent_activity": "AGENT", "function_tool": "TOOL"}

_MODEL_KEYS = (
    "langfuse.observation.model.name",
    "gen_ai.request.model",
    "gen_ai.response.model",
    "llm.model_name",
    "model",
)
"""Whatever names a model is a generation when nothing else is known."""

_GENERATION_KEYS = (
    "langfuse.observation.model.name",
    "langfuse.observation.cost_details",
    "langfuse.observation.usage_details",
    "langfuse.observation.completion_start_time",
    "langfuse.observation.model.parameters",
    "langfuse.observation.prompt.name",
    "langfuse.observation.prompt.version",
)


def observation_type(
    attributes: Attributes,
    resource: Attributes,
    scope_name: str | None,
    scope_version: str | None,
    span_name: str,
) -> str:
    """Return the observation type of a span, `SPAN` when no rule applies."""
    if (
        attributes.get("langfuse.observation.type") == "span"
        and scope_name == "langfuse-sdk"
        and _is_generation_of_old_sdk(attributes, resource, scope_version)
    ):
        return "GENERATION"
    for key, types in _TYPES_BY_ATTRIBUTE:
        value = attributes.get(key)
        if value is not None:
            known = types.get(value if isinstance(value, str) else string(value))
            if known is not None:
                return known
    return (
        _ai_sdk_type(attributes)
        or next((kind for key, kind in _TYPES_BY_PRESENCE if _is_meaningful(attributes.get(key))), None)
        or (_LIVEKIT_TYPES.get(span_name) if scope_name == "livekit-agents" else None)
        or ("GENERATION" if any(_is_meaningful(attributes.get(key)) for key in _MODEL_KEYS) else "SPAN")
    )


def _is_generation_of_old_sdk(attributes: Attributes, resource: Attributes, version: str | None) -> bool:
    """Tell whether Python SDK 3.3 or older called a generation a span (langfuse/langfuse#8682)."""
    if resource.get("telemetry.sdk.language") != "python":
        return False
    if version:
        parts = [whole_number(part) or 0 for part in version.split(".")[:2]]
        if parts > [3, 3]:
            return False
    return any(key in attributes for key in _GENERATION_KEYS)


def _ai_sdk_type(attributes: Attributes) -> str | None:
    """Return the type of a Vercel AI SDK operation; its name may be followed by the caller's function id."""
    name, identifier = attributes.get("operation.name"), attributes.get("ai.operationId")
    if name is None and identifier is None:
        return None
    if any(_is_meaningful(attributes.get(key)) for key in _AI_SDK_MODEL_KEYS):
        for operation, kind in _AI_SDK_TYPES.items():
            if _is_operation(operation, name, identifier):
                return kind
    return "TOOL" if _is_operation("ai.toolCall", name, identifier) else None


def _is_operation(operation: str, name: object, identifier: object) -> bool:
    return identifier == operation or (isinstance(name, str) and name.startswith(operation))


def _is_meaningful(value: object) -> bool:
    """Tell whether a value says something: not null, not empty. Zero and false do."""
    return value is not None and value not in ("", [], {})
