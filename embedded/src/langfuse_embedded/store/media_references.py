"""Find the media strings in a JSON value: `@@@langfuseMedia:type=image/png|id=…|source=bytes@@@`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from .media import MediaReference

_REFERENCE = re.compile(r"@@@langfuseMedia:(.*)@@@")
_INDEX = re.compile(r"[0-9*]+")


def find_references(field: str, value: Any) -> list[MediaReference]:
    """Return every text in `value` that is a media string as a whole and well-formed."""
    return [
        MediaReference(field, path, text, media_id)
        for path, text in _texts(value, "$")
        if (media_id := _media_id(text)) is not None
    ]


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, entry in value.items():
            # A key of digits alone is written like an index, as the server's JSONPath library does.
            yield from _texts(entry, f"{path}[{key}]" if _INDEX.fullmatch(key) else f"{path}['{key}']")
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _texts(entry, f"{path}[{index}]")


def _media_id(text: str) -> str | None:
    match = _REFERENCE.fullmatch(text)
    if match is None:
        return None
    parts: dict[str, str] = {}
    for part in filter(None, match.group(1).split("|")):
        key, equals, rest = part.partition("=")
        if not (key and equals):
            return None
        parts[key.strip()] = rest.split("=")[0].strip()
    return parts["id"] if parts.keys() >= {"type", "id", "source"} else None
