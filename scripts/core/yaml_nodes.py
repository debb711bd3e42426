"""Find the places of values in a parsed YAML document: for messages with line and column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import yaml

Step = str | int
"""A key of a mapping, or a position in a sequence."""


LARGEST = 200_000
"""Values in a file, each alias counted as what it stands for. The largest file that we ship has 3,000."""


def beyond_bounds(root: yaml.Node | None) -> yaml.Node | None:
    """Return the node with which a document gets too large, or that has itself in it; None where all is well.

    Aliases of aliases make a file of ten lines as large as memory, for whatever walks through it.
    """
    sizes: dict[int, int] = {}  # 0 while a node is being measured
    waiting = [root] if root else []
    while waiting:
        node = waiting[-1]
        children = _children(node)
        if id(node) not in sizes:
            sizes[id(node)] = 0
            for child in children:
                if sizes.get(id(child)) == 0:
                    return child
            waiting += [child for child in children if id(child) not in sizes]
            continue
        waiting.pop()
        if sizes[id(node)] == 0:
            sizes[id(node)] = 1 + sum(sizes[id(child)] for child in children)
        if sizes[id(node)] > LARGEST:
            return node
    return None


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


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
