"""Token counts in the words of each framework, translated to Langfuse's kinds of usage.

Providers count cached, reasoning and audio tokens into their sums; Langfuse keeps kinds apart, so that each
is priced once. Every function here takes the parts out of the sums.
"""

from __future__ import annotations

import math
from typing import Any

from langfuse_embedded.javascript.values import (
    InvalidJson,
    first_present,
    loads,
    loads_or_none,
    number,
    truthy,
    whole_number,
)

from .batch import Attributes

Counts = dict[str, Any]

_GENAI_PREFIXES = ("gen_ai.usage.", "llm.token_count.")
_COST = "gen_ai.usage.cost"

_GENAI_KINDS: dict[str, tuple[str, ...]] = {
    "input": ("prompt_tokens", "input_tokens", "prompt"),
    "output": ("completion_tokens", "output_tokens", "completion"),
    "total": ("total_tokens", "total"),
    "input_cached_tokens": (
        "cache_read.input_tokens",
        "cache_read_input_tokens",
        "cache_read_tokens",
        "details.cache_read_tokens",
        "details.cache_read_input_tokens",
        "prompt_details.cache_read",
        "input_cached_tokens",
    ),
    "input_cache_creation": (
        "cache_creation.input_tokens",
        "cache_creation_input_tokens",
        "cache_write_tokens",
        "details.cache_write_tokens",
        "details.cache_creation_input_tokens",
        "prompt_details.cache_write",
        "input_cache_creation",
    ),
    "output_reasoning_tokens": ("reasoning.output_tokens", "completion_details.reasoning"),
    "output_audio_tokens": ("completion_details.audio",),
}
"""Kinds and the spellings that conventions and providers have for them, best first."""

_GENAI_SPELLINGS = frozenset(spelling for spellings in _GENAI_KINDS.values() for spelling in spellings)
_PARTS = {
    "input": ("input_cached_tokens", "input_cache_creation"),
    "output": ("output_reasoning_tokens", "output_audio_tokens"),
}


def genai_usage(attributes: Attributes) -> Counts:
    """Return the usage of OpenTelemetry's `gen_ai.usage.*` and OpenInference's `llm.token_count.*`."""
    raw: Counts = {}
    for key, value in attributes.items():
        if key.startswith(_GENAI_PREFIXES) and key != _COST:
            count = number(value)
            if count is not None:
                raw[key.removeprefix("gen_ai.usage.").removeprefix("llm.token_count.")] = count
    if not raw:
        return {}
    usage = {
        spelling.removeprefix("details."): count
        for spelling, count in raw.items()
        if spelling not in _GENAI_SPELLINGS
    }
    known = {kind: first_present(raw, spellings) for kind, spellings in _GENAI_KINDS.items()}
    for kind, count in known.items():
        if count is not None:
            parts = sum(known[part] or 0 for part in _PARTS.get(kind, ()))
            usage[kind] = _less(count, parts) if kind in _PARTS else count
    return usage


def genkit_usage(attributes: Attributes) -> Counts | None:
    """Return the usage in a Genkit model span's output, ``None`` when there is none."""
    output = loads_or_none(attributes.get("genkit:output"))
    given = output.get("usage") if isinstance(output, dict) else None
    if not truthy(given):
        return None
    given = given if isinstance(given, dict) else {}
    thoughts = given.get("thoughtsTokens")
    usage: Counts = {}
    if truthy(given.get("inputTokens")):
        usage["input"] = given["inputTokens"]
    if truthy(given.get("outputTokens")):
        usage["output"] = _less(given["outputTokens"], thoughts)
    if truthy(given.get("totalTokens")):
        usage["total"] = given["totalTokens"]
    if truthy(thoughts):
        usage["output_reasoning"] = thoughts
    return usage


def vertex_usage(attributes: Attributes) -> Counts | None:
    """Return the usage of a Google ADK span, with the cached tokens that only its response document tells."""
    if "gcp.vertex.agent.llm_response" not in attributes:
        return None
    usage = genai_usage(attributes)
    response = loads_or_none(attributes["gcp.vertex.agent.llm_response"])
    tokens = response.get("usage_metadata") if isinstance(response, dict) else None
    cached = tokens.get("cached_content_token_count") if isinstance(tokens, dict) else None
    if "input_cached_tokens" not in usage and cached is not None and _is_number(cached) and cached > 0:
        usage["input_cached_tokens"] = cached
        if "input" in usage:
            usage["input"] = _less(usage["input"], cached)
    return usage


_AI_SDK_SUMS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("input", ("gen_ai.usage.prompt_tokens", "gen_ai.usage.input_tokens")),
    ("output", ("gen_ai.usage.completion_tokens", "gen_ai.usage.output_tokens")),
    ("total", ("ai.usage.tokens",)),
)
_AI_SDK_DETAILS = (
    ("input_cached_tokens", "ai.usage.cachedInputTokens"),
    ("output_reasoning_tokens", "ai.usage.reasoningTokens"),
)
_OPENAI = (
    ("input_cached_tokens", "cachedPromptTokens"),
    ("accepted_prediction_tokens", "acceptedPredictionTokens"),
    ("rejected_prediction_tokens", "rejectedPredictionTokens"),
    ("output_reasoning_tokens", "reasoningTokens"),
)
_ANTHROPIC = (
    ("input_cache_creation", "cache_creation_input_tokens"),
    ("input_cached_tokens", "cache_read_input_tokens"),
)
_ANTHROPIC_BY_LIFETIME = (
    ("input_cache_creation_5m", "ephemeral_5m_input_tokens"),
    ("input_cache_creation_1h", "ephemeral_1h_input_tokens"),
)
_BEDROCK = (
    ("input_cache_read", "cacheReadInputTokens"),
    ("input_cache_write", "cacheWriteInputTokens"),
    ("input_cache_creation", "cacheCreationInputTokens"),
)
_AI_SDK_INPUT_PARTS = (
    "input_cached_tokens",
    "input_cache_creation",
    "input_cache_creation_5m",
    "input_cache_creation_1h",
    "input_cache_read",
)


def ai_sdk_usage(attributes: Attributes) -> Counts | None:
    """Return the usage of the Vercel AI SDK, ``None`` when its documents cannot be read."""
    usage: Counts = {}
    for kind, keys in _AI_SDK_SUMS:
        key = next((key for key in keys if key in attributes), None)
        if key is not None:
            value = attributes[key]
            usage[kind] = whole_number(0 if value is None else value)
    try:
        for kind, key in _AI_SDK_DETAILS:
            if key in attributes:
                usage[kind] = _count_or_wrapped(loads(attributes[key]))
        if truthy(attributes.get("ai.response.providerMetadata")):
            metadata = loads(attributes["ai.response.providerMetadata"])
            if not isinstance(metadata, dict):
                return None
            _add_provider_details(usage, metadata)
    except InvalidJson:
        return None
    usage["input"] = _less(usage.get("input", 0), *(usage.get(part) for part in _AI_SDK_INPUT_PARTS))
    usage["output"] = _less(usage.get("output", 0), usage.get("output_reasoning_tokens"))
    return usage


def _count_or_wrapped(document: Any) -> Any:
    """Return a number, also out of the OTLP wrapper that some versions of the SDK send as text."""
    if isinstance(document, dict):
        return document.get("intValue")
    return document if _is_number(document) else None


def _add_provider_details(usage: Counts, metadata: dict[str, Any]) -> None:
    if "openai" in metadata:
        _add(usage, _OPENAI, metadata["openai"])
    anthropic = metadata.get("anthropic")
    if isinstance(anthropic, dict) and "usage" in anthropic:
        _add_anthropic(usage, anthropic["usage"])
    bedrock = metadata.get("bedrock")
    if isinstance(bedrock, dict):
        _add(usage, _BEDROCK, bedrock.get("usage"))


def _add_anthropic(usage: Counts, given: Any) -> None:
    _add(usage, _ANTHROPIC, given)
    by_lifetime = given.get("cache_creation") if isinstance(given, dict) else None
    if isinstance(by_lifetime, dict):
        counts = {key: count for key, count in by_lifetime.items() if _is_number(count)}
        _add(usage, _ANTHROPIC_BY_LIFETIME, counts)
        parts = (usage.get(kind) for kind, _ in _ANTHROPIC_BY_LIFETIME)
        usage["input_cache_creation"] = _less(usage.get("input_cache_creation", 0), *parts)


def _add(usage: Counts, kinds: tuple[tuple[str, str], ...], given: Any) -> None:
    """Add counts that are not known yet."""
    if isinstance(given, dict):
        for kind, key in kinds:
            if usage.get(kind) is None and given.get(key) is not None:
                usage[kind] = given[key]


def _less(count: Any, *parts: Any) -> Any:
    """Return a sum without its parts, never below zero; ``None`` when one of them is not a number."""
    numbers = [number(value) for value in (count, *(part for part in parts if part is not None))]
    if any(value is None for value in numbers):
        return None
    first, *rest = (value or 0 for value in numbers)
    left = max(first - sum(rest), 0)
    return None if math.isnan(left) else left


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
