"""Text with positions: YAML that remembers where each value stands, so that a message can name the place."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from scripts.core.yaml_nodes import LARGEST, Step, beyond_bounds, find_node, position, repeated_keys

Loc = Sequence[Step]


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML as people mean it: a date stays text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class NotYaml(Exception):
    """A text that is not YAML; `line` and `column` count from 1."""

    def __init__(self, problem: str, line: int = 1, column: int = 1) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line
        self.column = column


@dataclass(frozen=True, slots=True)
class Source:
    """One file, or one row of a file, as data with positions.

    Attributes:
        path: where it lies.
        shown: what messages call it.
        data: its content as plain data.
        root: its YAML nodes, or None where all of it is in one place.
        line: how many lines stand before the text that `root` describes; the line itself without nodes.
    """

    path: Path
    shown: str
    data: Any
    root: yaml.Node | None = None
    line: int = 0
    repeated: tuple[str, ...] = field(default=())

    def place(self, loc: Loc = (), *, key: bool = False) -> str:
        """Return `file:line:column` of the value at `loc` (with `key` of its key), or of what is around."""
        if self.root is None:
            return f"{self.shown}:{max(self.line, 1)}:1"
        return self._at(find_node(self.root, loc, key=key))

    def scalars(self) -> Iterator[tuple[str, str]]:
        """Yield all texts with their places."""
        if self.root is None:
            yield from ((text, self.place()) for text in _texts(self.data))
            return
        yield from ((node.value, self._at(node)) for node in _scalar_nodes(self.root))

    def _at(self, node: yaml.Node | None) -> str:
        line, column = position(node)
        return f"{self.shown}:{line + self.line}:{column}"


def read_yaml(text: str, path: Path, shown: str, lines_before: int = 0) -> Source:
    """Return a YAML text as data with positions.

    Raises:
        NotYaml: it is not.
    """
    try:
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
            if beyond := beyond_bounds(root):
                line, column = position(beyond)
                problem = f"its aliases stand for more than {LARGEST:,} values, or for themselves"
                raise NotYaml(problem, line + lines_before, column)
            data = loader.construct_document(root) if root else None
        finally:
            loader.dispose()
    except RecursionError as error:
        raise NotYaml("it is nested too deeply", 1 + lines_before) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or " ".join(str(error).split())
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise NotYaml(str(problem), line + lines_before, column) from error
    repeated = [(key.value, *position(key)) for key in repeated_keys(root)]
    faults = (
        f"{shown}:{line + lines_before}:{column}: {name} is given twice; keep one"
        for name, line, column in repeated
    )
    return Source(path, shown, data, root, lines_before, tuple(faults))


def dotted(loc: Loc) -> str:
    """Return a path as people write it: `projects[1].name`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).removeprefix(".")


def _scalar_nodes(node: yaml.Node) -> Iterator[yaml.ScalarNode]:
    if isinstance(node, yaml.ScalarNode):
        yield node
        return
    for child in node.value:
        for part in child if isinstance(child, tuple) else (child,):
            yield from _scalar_nodes(part)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        yield json.dumps(value, ensure_ascii=False)
