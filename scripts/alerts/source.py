"""Where things stand in a YAML file: line and column of keys and values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import yaml

Path = Sequence[str | int]


class Source:
    """The text of a YAML file, and the places of its parts. Raises yaml.YAMLError when it is not YAML."""

    def __init__(self, text: str) -> None:
        self._root = yaml.compose(text, Loader=yaml.SafeLoader)

    def place(self, path: Path, *, key: bool = False) -> str:
        """Return `line:column` of a value (of its key with `key`), or of the nearest thing above it."""
        node = self._find(path, key=key)
        mark = node.start_mark if node else None
        return f"{mark.line + 1}:{mark.column + 1}" if mark else "1:1"

    def place_within(self, path: Path, column: int) -> str:
        """Return `line:column` of the `column`th character (from 1) of a text on one line."""
        node = self._find(path)
        if node is None:
            return "1:1"
        quoted = isinstance(node, yaml.ScalarNode) and node.style in ("'", '"')
        return f"{node.start_mark.line + 1}:{node.start_mark.column + column + quoted}"

    def repeated_keys(self) -> Iterator[tuple[str, str]]:
        """Yield the place and the name of every key that its mapping has already."""
        yield from _repeated(self._root) if self._root else ()

    def _find(self, path: Path, *, key: bool = False) -> yaml.Node | None:
        node = self._root
        for depth, part in enumerate(path):
            if isinstance(node, yaml.MappingNode):
                pair = next((pair for pair in node.value if pair[0].value == part), None)
                if pair is None:
                    return node
                node = pair[0] if key and depth == len(path) - 1 else pair[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
        return node


def _repeated(node: yaml.Node) -> Iterator[tuple[str, str]]:
    children: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        seen: set[object] = set()
        for key, value in node.value:
            if key.value in seen:
                yield f"{key.start_mark.line + 1}:{key.start_mark.column + 1}", str(key.value)
            seen.add(key.value)
            children.append(value)
    elif isinstance(node, yaml.SequenceNode):
        children = node.value
    for child in children:
        yield from _repeated(child)
