"""Find the places of values in a parsed YAML document: for messages with line and column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import yaml

Step = str | int
"""A key of a mapping, or a position in a sequence."""


def find_node(root: yaml.Node | None, path: Sequence[Step], *, key: bool = False) -> yaml.Node | None:
    """Return the node at a path (with `key` that of its key), or the nearest one above it."""
    node = root
    for depth, step in enumerate(path):
        if isinstance(node, yaml.MappingNode):
            pair = next((pair for pair in node.value if pair[0].value == str(step)), None)
            if pair is None:
                return node
            node = pair[0] if key and depth == len(path) - 1 else pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
    return node


def repeated_keys(root: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
    """Yield every key that its mapping has already: YAML lets the last one win without a word."""
    children: list[yaml.Node] = []
    if isinstance(root, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in root.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    yield key
                seen.add(key.value)
            children.append(value)
    elif isinstance(root, yaml.SequenceNode):
        children = root.value
    for child in children:
        yield from repeated_keys(child)


def position(node: yaml.Node | None) -> tuple[int, int]:
    """Return line and column where a node begins, from 1; the beginning of the document without one."""
    return (node.start_mark.line + 1, node.start_mark.column + 1) if node else (1, 1)
