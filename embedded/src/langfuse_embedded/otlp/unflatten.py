"""Messages spread over attribute keys (`gen_ai.prompt.0.content`), put together again."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from langfuse_embedded.javascript.values import truthy

MAX_SLOTS = 10_001
"""List slots that one value may have in all: a single key can name slot 999999999."""

_BLOCKED = frozenset({"__proto__", "constructor", "prototype"})
_MAX_PATH = 100


class _Slots(dict[str, Any]):
    """A list under construction: values by slot number, holes allowed."""


def unflatten(attributes: dict[str, Any], prefix: str) -> Any:
    """Return the value whose parts are the attributes at and below `prefix`.

    A value at the prefix itself wins. Keys whose slots would exceed `MAX_SLOTS` are left out, and so are keys
    below one that holds a text. A key that goes on without a dot keeps its full name.
    """
    if truthy(attributes.get(prefix)):
        return attributes[prefix]
    budget = _SlotBudget()
    paths = []
    for key, value in attributes.items():
        if not key.startswith(prefix) or key == prefix:
            continue
        rest = key[len(prefix) :]
        path = rest[1:].split(".") if rest.startswith(".") else [key]
        if len(path) <= _MAX_PATH and not _BLOCKED & set(path) and budget.reserve(path):
            paths.append((path, value))
    listed = any(len(path) > 1 and _is_slot(path[0]) for path, _ in paths)
    root: dict[str, Any] = _Slots() if listed else {}
    for path, value in paths:
        if listed and _is_slot(path[0]):
            slot = str(int(path[0]))
            root.setdefault(slot, {})
            _place(root, [slot, *(path[1:] or ["undefined"])], value)
        else:
            _place(root, path, value)
    return _finished(root)


def _place(node: dict[str, Any], path: list[str], value: Any) -> None:
    for part, following in pairwise(path):
        child = node.setdefault(part, _Slots() if _is_slot(following) else {})
        if not isinstance(child, dict):
            return
        node = child
    node[path[-1]] = value


def _finished(node: Any) -> Any:
    if isinstance(node, _Slots):
        slots = {int(key): value for key, value in node.items() if _is_slot(key) and key == str(int(key))}
        items: list[Any] = [None] * (max(slots, default=-1) + 1)
        for slot, value in slots.items():
            items[slot] = _finished(value)
        return items
    return {key: _finished(value) for key, value in node.items()} if isinstance(node, dict) else node


def _is_slot(part: str) -> bool:
    return part.isascii() and part.isdigit()


class _SlotBudget:
    """Counts the slots of all lists of one value; a path is taken whole or not at all."""

    def __init__(self) -> None:
        self._used = 0
        self._lengths: dict[str, int] = {}

    def reserve(self, path: list[str]) -> bool:
        """Take the slots that a path adds; return whether they fit."""
        lengths: dict[str, int] = {}
        added = 0
        for position, part in enumerate(path):
            if not _is_slot(part):
                continue
            if len(part) > 18:
                return False
            array = ".".join(path[:position])
            length = self._lengths.get(array, 0)
            if int(part) >= length:
                lengths[array] = int(part) + 1
                added += int(part) + 1 - length
        if self._used + added > MAX_SLOTS:
            return False
        self._used += added
        self._lengths |= lengths
        return True
