"""Prompts that include prompts: find the tags in a text, resolve them, refuse cycles and depth.

A tag is `@@@langfusePrompt:name=<name>|version=<n>@@@` or `…|label=<label>@@@`. As on the server, tags are
looked for and replaced in the JSON text of a prompt, only text prompts can be included, and a prompt cannot
include another version of itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from .documents import dump, load

MAX_DEPTH = 5
MAX_INCLUSIONS = 500
"""Of all prompts that one includes, counted each time that it is."""
MAX_LENGTH = 2_000_000
"""Characters of the JSON text of a prompt with everything that it includes put in."""
# Putting it together holds up all others: this takes some 10 ms.
_MAX_WORK = 4 * MAX_LENGTH
_TAG = re.compile(r"@@@langfusePrompt:(.*?)@@@")


class PromptGraphError(Exception):
    """A tag cannot be resolved; the text says which, in the server's words."""


@dataclass(frozen=True, slots=True)
class Dependency:
    """What a tag names: a prompt, by version or else by label."""

    name: str
    version: int | None
    label: str | None

    def __str__(self) -> str:
        by = f"label {self.label}" if self.version is None else f"version {self.version}"
        return f"{self.name} - {by}"


class Node(Protocol):
    """What the graph needs to know of a prompt version."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def prompt(self) -> Any: ...


class Included(Node, Protocol):
    """A prompt version that a tag may include."""

    @property
    def type(self) -> str: ...
    @property
    def labels(self) -> list[str]: ...


@dataclass(slots=True)
class PromptGraph:
    """A prompt with everything it includes put in, and who included whom (by id of the including version)."""

    root: Node
    resolved: Any = None
    dependencies: dict[str, list[Included]] = field(default_factory=dict)


def parse_tags(prompt: Any) -> list[Dependency]:
    """Return what the valid tags of a prompt name, each once, in order. Malformed tags stay text."""
    found: dict[str, Dependency] = {}
    for match in _TAG.finditer(dump(prompt)):
        if match.group() not in found and (dependency := _parse_tag(match.group(1))):
            found[match.group()] = dependency
    return list(found.values())


def _parse_tag(inner: str) -> Dependency | None:
    parts = inner.split("|")
    if len(parts) != 2 or not parts[0].startswith("name="):
        return None
    # A further "=" ends the value, as on the server.
    values = {part.split("=")[0]: [*part.split("="), ""][1] for part in parts}
    name = values.get("name")
    if not name:
        return None
    if version := values.get("version"):
        return Dependency(name, int(version), None) if version.isdecimal() else None
    label = values.get("label")
    return None if label is None else Dependency(name, None, label)


def resolve(
    root: Node,
    dependencies: Sequence[Dependency],
    find: Callable[[Dependency], Included | None],
    dependencies_of: Callable[[str], Sequence[Dependency]],
) -> PromptGraph:
    """Return `root` with its tags resolved.

    Raises:
        PromptGraphError: a prompt is missing or not a text, includes itself, or the nesting is deeper than
            `MAX_DEPTH`; or there is more to put in than `MAX_INCLUSIONS` and `MAX_LENGTH` allow: each prompt
            that includes another one several times multiplies what that includes.
    """
    graph = PromptGraph(root)
    inclusions = work = 0
    open_ids: set[str] = set()

    def visit(node: Node, includes: Sequence[Dependency], depth: int) -> Any:
        nonlocal inclusions, work
        if depth >= MAX_DEPTH:
            raise PromptGraphError(f"Maximum nesting depth exceeded ({MAX_DEPTH})")
        if node.id in open_ids or (node.name == root.name and node.id != root.id):
            raise PromptGraphError(
                f"Circular dependency detected involving prompt '{node.name}' version {node.version}"
            )
        if not includes:
            return node.prompt
        open_ids.add(node.id)
        text = dump(node.prompt)
        for dependency in includes:
            child = find(dependency)
            if child is None:
                raise PromptGraphError(f"Prompt dependency not found: {dependency}")
            if child.type != "text":
                raise PromptGraphError(f"Prompt dependency is not a text prompt: {dependency}")
            graph.dependencies.setdefault(node.id, []).append(child)
            inclusions += 1
            if inclusions > MAX_INCLUSIONS:
                raise PromptGraphError(
                    f"The prompt '{root.name}' includes more than {MAX_INCLUSIONS} other prompts"
                )
            inner = dump(visit(child, dependencies_of(child.id), depth + 1))[1:-1]
            for tag in _tags_of(child):
                length = len(text) + text.count(tag) * (len(inner) - len(tag))
                work += length
                if length > MAX_LENGTH or work > _MAX_WORK:
                    raise PromptGraphError(
                        f"The prompt '{root.name}' with everything that it includes is longer than "
                        f"{MAX_LENGTH} characters"
                    )
                text = text.replace(tag, inner)
        open_ids.discard(node.id)
        return load(text)

    graph.resolved = visit(root, dependencies, 0)
    return graph


def _tags_of(child: Included) -> list[str]:
    selectors = [f"version={child.version}", *(f"label={label}" for label in child.labels)]
    return [f"@@@langfusePrompt:name={child.name}|{selector}@@@" for selector in selectors]
