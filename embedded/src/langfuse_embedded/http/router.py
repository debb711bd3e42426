"""Find what answers a method on a raw path: an operation of the API, or a page of the viewer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar
from urllib.parse import unquote


class Route(Protocol):
    """What a row of a routing table says of itself (see `operations.Operation`)."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...


R = TypeVar("R", bound=Route)


@dataclass(slots=True)
class Match(Generic[R]):
    """The operations of a path by method, and the decoded path parameters."""

    operations: dict[str, R]
    params: dict[str, str]


@dataclass(slots=True)
class _Node(Generic[R]):
    children: dict[str, _Node[R]] = field(default_factory=dict)
    parameter: _Node[R] | None = None
    operations: dict[str, R] = field(default_factory=dict)
    names: tuple[str, ...] = ()


class Router(Generic[R]):
    """A tree of path segments. Literal segments win over parameters."""

    def __init__(self, operations: Iterable[R]) -> None:
        self.operations: list[R] = []
        self._root: _Node[R] = _Node()
        for operation in operations:
            self._add(operation)

    def _add(self, operation: R) -> None:
        node, names = self._root, list[str]()
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

    def match(self, raw_path: str) -> Match[R] | None:
        """Return what answers at this path (still percent-encoded), or ``None``."""
        segments = raw_path.strip("/").split("/")
        found = self._walk(self._root, segments, 0, [])
        if found is None:
            return None
        node, values = found
        return Match(node.operations, dict(zip(node.names, values, strict=True)))

    def _walk(
        self, node: _Node[R], segments: list[str], depth: int, values: list[str]
    ) -> tuple[_Node[R], list[str]] | None:
        if depth == len(segments):
            return (node, values) if node.operations else None
        segment = segments[depth]
        child = node.children.get(segment)
        if child is not None and (found := self._walk(child, segments, depth + 1, values)):
            return found
        if node.parameter is not None and segment:
            return self._walk(node.parameter, segments, depth + 1, [*values, unquote(segment)])
        return None
