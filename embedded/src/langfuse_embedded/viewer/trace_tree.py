"""From the observations of a trace to the rows of its tree, each with its place on the time axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from langfuse_embedded.store.observation_query import StoredObservation

_SHORTEST_BAR = 0.4  # percent: about a pixel and a half
_SHORTEST_GAP = 0.5
_MOST_GAPS = 20
Mark = TypeVar("Mark")
_Children = Mapping[str | None, Sequence[StoredObservation]]


@dataclass(frozen=True, slots=True)
class Bar:
    """Where an observation is between the start and the end of its trace, in percent."""

    left: float
    width: float


@dataclass(frozen=True, slots=True)
class TreeRow(Generic[Mark]):
    """An observation in the tree. The duration is in milliseconds, ``None`` while it has no end.

    `is_critical` tells that the trace was as long as it was because of it. `gaps` are the longest times in
    which it ran, and none of its children.
    """

    observation: StoredObservation
    depth: int
    duration: int | None
    bar: Bar
    is_critical: bool
    scores: Sequence[Mark]
    gaps: Sequence[Bar]


@dataclass(frozen=True, slots=True)
class Tree(Generic[Mark]):
    """All rows, parents before their children. Start and duration are in milliseconds."""

    rows: Sequence[TreeRow[Mark]]
    start: int
    duration: int
    children: _Children

    def own_time(self, observation: StoredObservation) -> int | None:
        """Return how much of an observation no child covers, in milliseconds; ``None`` without an end."""
        if observation.row["end_time"] is None:
            return None
        return sum(end - begin for begin, end in _gaps(observation, self.children))

    def longest_gap(self, observation: StoredObservation) -> tuple[int, int] | None:
        """Return when the longest time without a child began, after the trace did, and how long it was.

        In milliseconds; ``None`` where children cover all, or there are none.
        """
        if not self.children.get(observation.id):
            return None
        gaps = [(begin - self.start, end - begin) for begin, end in _gaps(observation, self.children)]
        return max(gaps, key=lambda one: one[1], default=None)


def tree_of(observations: Sequence[StoredObservation], scores: Mapping[str, Sequence[Mark]]) -> Tree[Mark]:
    """Return the tree of at least one observation, in the order of time on each level.

    What names a parent that is not there stands on the first level, and so does what is its own ancestor.
    `scores` has the scores by observation.
    """
    children = _children(observations)
    start = min(one.row["start_time"] for one in observations)
    end = max(_end(one) for one in observations)
    span = max(end - start, 1)
    critical = _critical_path(children, end)
    rows = [
        TreeRow(
            one,
            depth,
            _duration(one),
            _bar(one, start, span),
            one.id in critical,
            scores.get(one.id, ()),
            _gap_bars(one, children, start, span),
        )
        for one, depth in _depth_first(observations, children)
    ]
    return Tree(rows, start, end - start, children)


def _children(observations: Sequence[StoredObservation]) -> _Children:
    known = {one.id for one in observations}
    children: dict[str | None, list[StoredObservation]] = {}
    for one in observations:
        children.setdefault(one.parent_id if one.parent_id in known else None, []).append(one)
    return children


def _depth_first(
    observations: Sequence[StoredObservation], children: _Children
) -> list[tuple[StoredObservation, int]]:
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


def _critical_path(children: _Children, end: int) -> set[str]:
    """Return the ids of what the trace had to wait for: from its end backwards, what ended last before.

    Of what an observation waited for, the child that ended last counts, then the one that ended last before
    that one began, and so on; children that ran beside those do not.
    """
    critical: set[str] = set()
    pending: list[tuple[str | None, int]] = [(None, end)]
    while pending:
        parent, reached = pending.pop()
        latest_first = sorted(children.get(parent, ()), key=lambda one: (_end(one), one.row["start_time"]))[
            ::-1
        ]
        for place, one in enumerate(latest_first):
            if one.id in critical or one.row["start_time"] > reached or (place and _end(one) > reached):
                continue
            critical.add(one.id)
            pending.append((one.id, min(_end(one), reached)))
            reached = one.row["start_time"]
    return critical


def _gaps(observation: StoredObservation, children: _Children) -> list[tuple[int, int]]:
    """Return from when to when an observation ran while no child did, in Unix milliseconds."""
    reached: int = observation.row["start_time"]
    end, found = _end(observation), []
    for child in children.get(observation.id, ()):
        begin = min(child.row["start_time"], end)
        if begin > reached:
            found.append((reached, begin))
        reached = max(reached, min(_end(child), end))
    return [*found, (reached, end)] if end > reached else found


def _gap_bars(one: StoredObservation, children: _Children, start: int, span: int) -> list[Bar]:
    if not children.get(one.id):
        return []
    seen = [gap for gap in _gaps(one, children) if 100 * (gap[1] - gap[0]) / span >= _SHORTEST_GAP]
    longest = sorted(seen, key=lambda gap: gap[0] - gap[1])[:_MOST_GAPS]
    return [
        Bar(round(100 * (begin - start) / span, 2), round(100 * (end - begin) / span, 2))
        for begin, end in sorted(longest)
    ]


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
