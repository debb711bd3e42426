"""From the observations of a trace to the rows of its tree, each with its place on the time axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from langfuse_embedded.store.observation_query import StoredObservation

_SHORTEST_BAR = 0.4  # percent: about a pixel and a half


@dataclass(frozen=True, slots=True)
class Bar:
    """Where an observation lies between the start and the end of its trace, in percent."""

    left: float
    width: float


@dataclass(frozen=True, slots=True)
class TreeRow:
    """An observation in the tree. The duration is in milliseconds, ``None`` while it has no end."""

    observation: StoredObservation
    depth: int
    duration: int | None
    bar: Bar
    scores: int


@dataclass(frozen=True, slots=True)
class Tree:
    """All rows, parents before their children. Start and duration are in milliseconds."""

    rows: Sequence[TreeRow]
    start: int
    duration: int


def tree_of(observations: Sequence[StoredObservation], scores: Mapping[str, int]) -> Tree:
    """Return the tree of at least one observation, in the order of time on each level.

    What names a parent that is not there stands on the first level, and so does what is its own ancestor.
    `scores` has the number of scores by observation.
    """
    ordered = _depth_first(observations)
    start = min(one.row["start_time"] for one in observations)
    end = max(_end(one) for one in observations)
    span = max(end - start, 1)
    rows = [
        TreeRow(one, depth, _duration(one), _bar(one, start, span), scores.get(one.id, 0))
        for one, depth in ordered
    ]
    return Tree(rows, start, end - start)


def _depth_first(observations: Sequence[StoredObservation]) -> list[tuple[StoredObservation, int]]:
    known = {one.id for one in observations}
    children: dict[str | None, list[StoredObservation]] = {}
    for one in observations:
        parent = one.parent_id if one.parent_id in known else None
        children.setdefault(parent, []).append(one)
    ordered: list[tuple[StoredObservation, int]] = []
    seen: set[str] = set()
    # The observations come in the order of time. Those that no root leads to (they are in a circle) follow.
    for top in (*children.get(None, ()), *observations):
        pending = [(top, 0)]
        while pending:
            one, depth = pending.pop()
            if one.id in seen:
                continue
            seen.add(one.id)
            ordered.append((one, depth))
            pending += [(child, depth + 1) for child in reversed(children.get(one.id, ()))]
    return ordered


def _end(observation: StoredObservation) -> int:
    start: int = observation.row["start_time"]
    end: int | None = observation.row["end_time"]
    return start if end is None else max(start, end)


def _duration(observation: StoredObservation) -> int | None:
    end = observation.row["end_time"]
    return None if end is None else end - observation.row["start_time"]


def _bar(observation: StoredObservation, start: int, span: int) -> Bar:
    width = max(100 * (_end(observation) - observation.row["start_time"]) / span, _SHORTEST_BAR)
    left = min(100 * (observation.row["start_time"] - start) / span, 100 - width)
    return Bar(round(left, 2), round(width, 2))
