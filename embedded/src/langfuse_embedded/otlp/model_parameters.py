"""Model parameters: temperature, token limits and whatever else a sender tells of the call."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from langfuse_embedded.javascript.values import InvalidJson, dumps, loads, loads_or_none, string, truthy

from .batch import Attributes
from .key_kinds import PARAMETER

_EXPLICIT = "langfuse.observation.model.parameters"
_SHORT = 1000
_SCOPES = frozenset({"ai", "genkit-tracer"})
"""Scopes whose parameters stand under keys of another kind."""

_DOCUMENTS = ("llm.invocation_parameters", "model_config")
_PREFIXES = ("gen_ai.request.", "llm.invocation_parameters.")

_AI_SDK: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("maxSteps", ("ai.settings.maxSteps",)),
    ("toolChoice", ("ai.prompt.toolChoice",)),
    ("maxTokens", ("gen_ai.request.max_tokens",)),
    ("finishReason", ("gen_ai.response.finish_reasons", "gen_ai.finishReason")),
    ("system", ("gen_ai.system", "ai.model.provider")),
    ("maxRetries", ("ai.settings.maxRetries",)),
    ("mode", ("ai.settings.mode",)),
    ("temperature", ("gen_ai.request.temperature",)),
    ("service_tier", ("gen_ai.request.service_tier",)),
)
"""The fixed set of the Vercel AI SDK: parameter, and the attributes it is read from."""


def model_parameters(attributes: Attributes, kinds: int, scope_name: str | None) -> str:
    """Return the model parameters as an encoded JSON object."""
    if not kinds & PARAMETER and scope_name not in _SCOPES:
        return "{}"
    explicit = attributes.get(_EXPLICIT)
    if isinstance(explicit, str) and scope_name != "ai" and len(explicit) <= _SHORT:
        encoded = _normalized(explicit)
        if encoded is not None:
            return encoded
    return _encoded(_parameters(attributes, scope_name))


@lru_cache(maxsize=1024)
def _normalized(explicit: str) -> str | None:
    """Return explicit parameters as they are stored; an application sends the same few again and again."""
    parameters = _document(explicit)
    return _encoded(parameters) if truthy(parameters) else None


def _encoded(parameters: Any) -> str:
    if not truthy(parameters):
        return "{}"
    return parameters if isinstance(parameters, str) else dumps(parameters)


def _parameters(attributes: Attributes, scope_name: str | None) -> Any:
    explicit = _document(attributes.get(_EXPLICIT))
    if scope_name == "ai":
        return _ai_sdk_parameters(attributes) | (explicit if isinstance(explicit, dict) else {})
    if truthy(explicit):
        return explicit
    if scope_name == "genkit-tracer":
        config = _genkit_config(attributes)
        if truthy(config):
            return _flat(config)
    for key in _DOCUMENTS:
        parameters = _document(attributes.get(key))
        if parameters is not None:
            return parameters
    return _flat(_prefixed(attributes))


def _document(value: Any) -> Any:
    """Return the parameters in a JSON text, ``None`` when there are none."""
    if not truthy(value):
        return None
    try:
        return _flat(loads(value))
    except InvalidJson:
        return None


def _prefixed(attributes: Attributes) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    for prefix in _PREFIXES:
        for key, value in attributes.items():
            if key.startswith(prefix):
                parameters[key[len(prefix) :]] = value
    parameters.pop("model", None)
    return parameters


def _genkit_config(attributes: Attributes) -> Any:
    asked = loads_or_none(attributes.get("genkit:input"))
    config = asked.get("config") if isinstance(asked, dict) else None
    if config is not None:
        return config
    answered = loads_or_none(attributes.get("genkit:output"))
    request = answered.get("request") if isinstance(answered, dict) else None
    return request.get("config") if isinstance(request, dict) else None


def _ai_sdk_parameters(attributes: Attributes) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    for parameter, keys in _AI_SDK:
        value = next((attributes[key] for key in keys if key in attributes), None)
        parameters[parameter] = None if value is None else string(value)
    metadata = loads_or_none(attributes.get("ai.response.providerMetadata"))
    openai = metadata.get("openai") if isinstance(metadata, dict) else None
    tier = openai.get("serviceTier") if isinstance(openai, dict) else None
    if isinstance(tier, str):
        parameters["service_tier"] = tier
    return parameters


def _flat(parameters: Any) -> Any:
    """Return parameters whose values are texts and numbers; other values become their JSON text."""
    if isinstance(parameters, list):
        parameters = {str(index): value for index, value in enumerate(parameters)}
    if not isinstance(parameters, dict):
        return parameters
    return {key: value if _is_scalar(value) else dumps(value) for key, value in parameters.items()}


def _is_scalar(value: Any) -> bool:
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)
