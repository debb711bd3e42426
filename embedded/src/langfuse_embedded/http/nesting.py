"""How deep JSON may nest: what is stored has to fit into an answer, and the writer of JSON has a limit."""

from __future__ import annotations

from typing import Any

from .errors import InvalidRequest

MAX_DEPTH = 200
"""Lists and objects inside each other. The JSON library writes 254, and answers wrap what was sent."""


def require_shallow(value: Any) -> None:
    """Refuse a value that nests deeper than `MAX_DEPTH`.

    Raises:
        InvalidRequest: it does.
    """
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for parent in level if isinstance(parent, list | dict) for child in _children(parent)]
        if not level:
            return
    raise InvalidRequest(f"JSON is nested deeper than {MAX_DEPTH} levels")


def _children(parent: list[Any] | dict[str, Any]) -> list[Any]:
    children = parent.values() if isinstance(parent, dict) else parent
    return [child for child in children if isinstance(child, list | dict)]
