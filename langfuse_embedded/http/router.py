"""Find the operation for a method and a raw path."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import unquote

from .operations import Operation


@dataclass(slots=True)
class Match:
    """The operations of a path by method, and the decoded path parameters."""

    operations: dict[str, Operation]
    params: dict[str, str]


@dataclass(slots=True)
class _Node:
    children: dict[str, _Node] = field(default_factory=dict)
    parameter: _Node | None = None
    operations: dict[str, Operation] = field(default_factory=dict)
    names: tuple[str, ...] = ()


class Router:
    """A tree of path segments. Literal segments win over parameters."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self.operations: list[Operation] = []
        self._root = _Node()
        for operation in operations:
            self._add(operation)

    def _add(self, operation: Operation) -> None:
        node, names = self._root, []
        for segment in operation.path.strip("/").split("/"):
            if segment.startswith("{"):
                names.append(segment[1:-1])
                if node.parameter is None:
                    node.parameter = _Node()
                node = node.parameter
            else:
                node = node.children.setdefault(segment, _Node())
        if operation.method in node.operations:
            raise ValueError(f"two operations for {operation.method} {operation.path}")
        node.operations[operation.method] = operation
        node.names = tuple(names)
        self.operations.append(operation)

    def match(self, raw_path: str) -> Match | None:
        """Return what answers at this path (still percent-encoded), or ``None``."""
        segments = raw_path.strip("/").split("/")
        found = self._walk(self._root, segments, 0, [])
        if found is None:
            return None
        node, values = found
        return Match(node.operations, dict(zip(node.names, values, strict=True)))

    def _walk(
        self, node: _Node, segments: list[str], depth: int, values: list[str]
    ) -> tuple[_Node, list[str]] | None:
        if depth == len(segments):
            return (node, values) if node.operations else None
        segment = segments[depth]
        child = node.children.get(segment)
        if child is not None and (found := self._walk(child, segments, depth + 1, values)):
            return found
        if node.parameter is not None and segment:
            return self._walk(node.parameter, segments, depth + 1, [*values, unquote(segment)])
        return None
