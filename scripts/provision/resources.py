"""What plans are made of: objects as wanted, objects as found, and the changes between the two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from .content import Content
from .server import Server

Body = dict[str, Any]


class Action(StrEnum):
    """What a change does."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    """The object cannot be changed in this way: the old one makes room for a new one."""
    DELETE = "delete"
    BLOCKED = "blocked"
    """The API has no way to do it; the reason is the change's note."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An object as the files describe it, in the API's words. Those of a lower `level` are written first."""

    key: str
    body: Body
    level: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """An object as the server has it, in the same words as `Wanted`; `id` is the server's own."""

    key: str
    body: Body
    id: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that differs."""

    field: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Change:
    """What has to be done about one object, and why."""

    action: Action
    kind: str
    key: str
    differences: tuple[Difference, ...] = ()
    note: str = ""
    wanted: Wanted | None = field(default=None, repr=False)
    found: Found | None = field(default=None, repr=False)


class Kind(Protocol):
    """One kind of object: how to read, compare, write and export it."""

    name: str
    """In the singular, for people."""

    section: str
    """The key of its list in content files; empty where another kind exports it."""

    def wanted(self, content: Content, secrets: Mapping[str, str]) -> list[Wanted]:
        """Return the objects that the files describe. Raises UsageError for a secret that is not set."""

    def found(self, server: Server, wanted: Sequence[Wanted]) -> list[Found]:
        """Return the objects of the server, also those that are not wanted."""

    def compare(self, wanted: Wanted, found: Found | None) -> Change | None:
        """Return what has to be done so that the server has what is wanted; None for nothing. Pure."""

    def removal(self, found: Found) -> Change | None:
        """Return how to take an object away that no file describes; None when it counts as gone. Pure."""

    def write(self, server: Server, change: Change) -> None:
        """Carry out a change. Doing it twice, or after half of it was done, ends in the same state."""

    def exported(self, found: Found, everything: Mapping[str, Sequence[Found]]) -> Body | None:
        """Return the object as content files write it; None when it stays out of them."""


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Return the fields of `new` whose values differ from `old`; a mapping is looked into."""
    found: list[Difference] = []
    for name, value in new.items():
        before = old.get(name)
        if before == value:
            continue
        if isinstance(before, dict) and isinstance(value, dict) and before and value:
            keys = [*before, *(key for key in value if key not in before)]
            found += [
                Difference(f"{name}.{key}", before.get(key), value.get(key))
                for key in keys
                if before.get(key) != value.get(key)
            ]
        else:
            found.append(Difference(name, before, value))
    return tuple(found)


def simple_change(kind: str, wanted: Wanted, found: Found | None) -> Change | None:
    """Return CREATE, UPDATE or nothing, by comparing all fields."""
    if found is None:
        return Change(Action.CREATE, kind, wanted.key, wanted=wanted)
    changed = differences(found.body, wanted.body)
    if not changed:
        return None
    return Change(Action.UPDATE, kind, wanted.key, changed, wanted=wanted, found=found)


def compact(body: Mapping[str, Any]) -> Body:
    """Return a body without fields that have their default: null, empty text, list and mapping."""
    return {name: value for name, value in body.items() if value not in (None, "", [], {})}
