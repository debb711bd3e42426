"""Fields that are looked up: name, level, user, session, tags, prompt, model and their like.

Each has its list of attributes; the first that fits wins.
"""

from __future__ import annotations

from typing import Any

from langfuse_embedded.javascript.values import (
    InvalidJson,
    dumps,
    first_present,
    first_truthy,
    loads,
    string,
    truthy,
    whole_number,
)

from .batch import Attributes

_USER_ID = (
    "langfuse.user.id",
    "user.id",
    "langfuse.observation.metadata.langfuse_user_id",
    "langfuse.trace.metadata.langfuse_user_id",
    "ai.telemetry.metadata.userId",
)
_SESSION_ID = (
    "langfuse.session.id",
    "session.id",
    "gen_ai.conversation.id",
    "langfuse.observation.metadata.langfuse_session_id",
    "langfuse.trace.metadata.langfuse_session_id",
    "ai.telemetry.metadata.sessionId",
)
_TAGS = (
    "langfuse.trace.tags",
    "langfuse.tags",
    "langfuse.observation.metadata.langfuse_tags",
    "langfuse.trace.metadata.langfuse_tags",
    "ai.telemetry.metadata.tags",
    "tag.tags",
)
_PUBLIC = ("langfuse.trace.public", "langfuse.public")
_MODEL = (
    "langfuse.observation.model.name",
    "gen_ai.response.model",
    "ai.model.id",
    "gen_ai.request.model",
    "llm.response.model",
    "llm.model_name",
    "model",
)
_PROMPT_NAME = ("langfuse.observation.prompt.name", "langfuse.prompt.name")
_PROMPT_VERSION = ("langfuse.observation.prompt.version", "langfuse.prompt.version")

_LEVELS = {
    "TRACE": "DEBUG",
    "VERBOSE": "DEBUG",
    "DEBUG": "DEBUG",
    "DEFAULT": "DEFAULT",
    "INFO": "DEFAULT",
    "LOG": "DEFAULT",
    "NOTICE": "DEFAULT",
    "OK": "DEFAULT",
    "SUCCESS": "DEFAULT",
    "WARN": "WARNING",
    "WARNING": "WARNING",
    "ERROR": "ERROR",
    "FATAL": "ERROR",
    "CRITICAL": "ERROR",
}
_STATUS_ERROR = 2

_LIVEKIT_PLUMBING = frozenset(
    {
        "user_speaking",
        "eou_detection",
        "llm_request_run",
        "tts_node",
        "tts_request",
        "tts_request_run",
        "tts_stream_adapter",
        "agent_speaking",
        "drain_agent_activity",
        "on_exit",
        "on_enter",
        "llm_fallback_adapter",
        "tts_fallback_adapter",
        "start_agent_activity",
    }
)
"""Spans of LiveKit's own machinery, shown at level DEBUG."""

_MAX_PROMPT_VERSION = 65_535


def text(value: Any) -> str | None:
    """Return a value for a text column: texts as they are, nothing for null, JSON for the rest."""
    return value if value is None or isinstance(value, str) else dumps(value)


def name(span_name: str, attributes: Attributes) -> str:
    """Return the observation's name: what frameworks call it, else the span's name."""
    value = attributes.get("gen_ai.tool.name")
    if truthy(value):
        return text(value) or ""
    if "genkit:name" in attributes:
        return text(attributes["genkit:name"]) or ""
    value = attributes.get("logfire.msg")
    if truthy(value):
        return text(value) or ""
    if "ai.toolCall.name" in attributes:
        return text(attributes["ai.toolCall.name"]) or ""
    if "ai.operationId" in attributes:
        function = attributes.get("ai.telemetry.functionId")
        prefix = f"{string(function)}:" if truthy(function) else ""
        return prefix + string(attributes["ai.operationId"])
    return span_name


def level(attributes: Attributes, status_code: object, scope_name: str | None, span_name: str) -> str:
    """Return the level: the sender's word in Langfuse's vocabulary, else what the status says."""
    word = attributes.get("langfuse.observation.level")
    if isinstance(word, str):
        known = _LEVELS.get(word.strip().upper())
        if known is not None:
            return known
    if status_code == _STATUS_ERROR:
        return "ERROR"
    if scope_name == "livekit-agents" and span_name in _LIVEKIT_PLUMBING:
        return "DEBUG"
    return "DEFAULT"


def user_id(attributes: Attributes) -> str | None:
    """Return the user's id."""
    return text(first_truthy(attributes, _USER_ID))


def session_id(attributes: Attributes) -> str | None:
    """Return the session's id."""
    return text(first_truthy(attributes, _SESSION_ID))


def public(attributes: Attributes) -> bool:
    """Tell whether the trace is public."""
    return _is_true(first_present(attributes, _PUBLIC))


def is_app_root(attributes: Attributes) -> bool:
    """Tell whether the span is its application's root though its parent lives in another service."""
    return _is_true(attributes.get("langfuse.internal.is_app_root"))


def as_root(attributes: Attributes) -> bool:
    """Tell whether the SDK marks the span as the root of its trace though it has a parent.

    With a trace id of the caller's choice the SDK makes a parent up.
    """
    return _is_true(attributes.get("langfuse.internal.as_root"))


def _is_true(value: Any) -> bool:
    return value is True or value == "true"


def tags(attributes: Attributes) -> list[str]:
    """Return the trace's tags: a list, a JSON list, texts between commas, or one text."""
    value = first_truthy(attributes, _TAGS)
    if isinstance(value, list):
        return [string(tag) for tag in value]
    if not isinstance(value, str):
        return []
    if value.lstrip().startswith("["):
        try:
            listed = loads(value)
        except InvalidJson:
            listed = None
        if isinstance(listed, list):
            return [string(tag) for tag in listed]
    return [tag.strip() for tag in value.split(",")] if "," in value else [value]


def prompt(attributes: Attributes) -> tuple[str | None, int | None]:
    """Return name and version of the prompt that a generation used; a version beyond 16 bits is none."""
    prompt_name = first_present(attributes, _PROMPT_NAME)
    version = first_present(attributes, _PROMPT_VERSION)
    if prompt_name is None or version is None:
        linked = _ai_sdk_prompt(attributes)
        prompt_name = linked.get("name") if prompt_name is None else prompt_name
        version = linked.get("version") if version is None else version
    whole = None if version is None else whole_number(version)
    return text(prompt_name), whole if whole is not None and 0 <= whole <= _MAX_PROMPT_VERSION else None


def _ai_sdk_prompt(attributes: Attributes) -> dict[str, Any]:
    """Return the prompt that the Vercel AI SDK carries as a JSON object in its telemetry metadata."""
    value = attributes.get("ai.telemetry.metadata.langfusePrompt")
    if not value:
        return {}
    try:
        linked = loads(value)
    except InvalidJson:
        return {}
    return linked if isinstance(linked, dict) else {}


def model_name(attributes: Attributes) -> str | None:
    """Return the model's name as the sender gave it."""
    value = first_truthy(attributes, _MODEL)
    if value is None and attributes.get("genkit:metadata:subtype") == "model":
        value = first_truthy(attributes, ("genkit:name",))
    return text(value)
