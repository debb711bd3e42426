"""Metadata: what senders attach, what the span and its surroundings carry, flattened to dotted paths."""

from __future__ import annotations

from typing import Any

from langfuse_embedded.javascript.values import MAX_DEPTH, InvalidJson, dumps, in_key_order, loads, truthy

from .batch import Attributes
from .key_kinds import METADATA, NOT_REPEATED, kinds_of_key

Flat = list[tuple[str, str]]
"""Dotted paths and raw texts, in stored order."""

_SHARED_PREFIXES = ("langfuse.metadata.", "ai.telemetry.metadata.")
_FIELDS_OF_THEIR_OWN = frozenset(
    {
        "ai.telemetry.metadata.userId",
        "ai.telemetry.metadata.sessionId",
        "ai.telemetry.metadata.tags",
        "ai.telemetry.metadata.langfusePrompt",
    }
)


def unread_attributes(attributes: Attributes) -> dict[str, str]:
    """Return the attributes that no other field carries, as texts; scopes other than Langfuse's keep them."""
    return {
        key: value if isinstance(value, str) else dumps(value)
        for key, value in attributes.items()
        if not kinds_of_key(key) & NOT_REPEATED
    }


def metadata_attributes(attributes: Attributes) -> Attributes:
    """Return the few attributes that `metadata_under` looks at: it walks over all that it is given."""
    return {key: value for key, value in attributes.items() if kinds_of_key(key) & METADATA}


def user_metadata(attributes: Attributes) -> dict[str, Any]:
    """Return what senders attached to the observation, then to the trace; later values win."""
    attributes = metadata_attributes(attributes)
    merged: dict[str, Any] = {}
    for prefix in ("langfuse.observation.metadata", "langfuse.trace.metadata"):
        merged.update(metadata_under(prefix, attributes))
    return merged


def metadata_under(prefix: str, attributes: Attributes) -> dict[str, Any]:
    """Return what belongs to `prefix` or to any such prefix: one JSON object, and single keys."""
    value = attributes.get(prefix)
    document = _document(value if truthy(value) else attributes.get("langfuse.metadata"))
    return document | _prefixed(attributes, (f"{prefix}.", *_SHARED_PREFIXES))


def from_prefix(attributes: Attributes, prefix: str) -> dict[str, Any]:
    """Return metadata given as one JSON object under `prefix` and as single keys below it."""
    return _document(attributes.get(prefix)) | _prefixed(attributes, (f"{prefix}.",))


def _prefixed(attributes: Attributes, prefixes: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in attributes.items():
        if key.startswith(prefixes) and key not in _FIELDS_OF_THEIR_OWN:
            for prefix in prefixes:
                if key.startswith(prefix) and len(key) > len(prefix):
                    found[key[len(prefix) :]] = value
    return found


def _document(value: Any) -> dict[str, Any]:
    """Return an object or list as an object; texts are parsed, other values say nothing."""
    if isinstance(value, str):
        try:
            value = loads(value)
        except InvalidJson:
            return {}
    if isinstance(value, list):
        return {str(index): item for index, item in enumerate(value)}
    return value if isinstance(value, dict) else {}


def metadata_texts(metadata: Any) -> dict[str, str]:
    """Return metadata as it is stored: texts by name. What is not an object is under `metadata`."""
    if metadata is None:
        return {}
    if not isinstance(metadata, dict):
        metadata = {"metadata": metadata}
    return {name: value if isinstance(value, str) else dumps(value) for name, value in metadata.items()}


def flatten(metadata: dict[str, Any]) -> Flat:
    """Return dotted paths and texts: objects are walked, other values become JSON, null empty."""
    flat: Flat = []
    _flatten(metadata, "", 0, flat)
    return flat


def _flatten(values: dict[str, Any], prefix: str, depth: int, flat: Flat) -> None:
    for key, value in in_key_order(values).items():
        path = f"{prefix}.{key}" if prefix else key
        if isinstance(value, str):
            flat.append((path, value))
        elif isinstance(value, dict) and depth < MAX_DEPTH:
            _flatten(value, path, depth + 1, flat)
        else:
            flat.append((path, "" if value is None else dumps(value)))
