"""Where things are in a YAML file: line and column of keys and values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import yaml

from scripts.core.yaml_nodes import Step, find_node, position, repeated_keys

Path = Sequence[Step]


class Source:
    """The text of a YAML file, and the places of its parts. Raises yaml.YAMLError when it is not YAML."""

    def __init__(self, text: str) -> None:
        self._root = yaml.compose(text, Loader=yaml.SafeLoader)

    def place(self, path: Path, *, key: bool = False) -> str:
        """Return `line:column` of a value (of its key with `key`), or of the nearest thing above it."""
        return _place(find_node(self._root, path, key=key))

    def place_within(self, path: Path, column: int) -> str:
        """Return `line:column` of the `column`th character (from 1) of a text on one line."""
        node = find_node(self._root, path)
        if node is None:
            return "1:1"
        quoted = isinstance(node, yaml.ScalarNode) and node.style in ("'", '"')
        return f"{node.start_mark.line + 1}:{node.start_mark.column + column + quoted}"

    def repeated_keys(self) -> Iterator[tuple[str, str]]:
        """Yield the place and the name of every key that its mapping has already."""
        yield from ((_place(key), key.value) for key in repeated_keys(self._root))


def _place(node: yaml.Node | None) -> str:
    line, column = position(node)
    return f"{line}:{column}"
