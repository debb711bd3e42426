"""A trace as a test reads it, and as a failing test shows it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Observation = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Trace:
    """The observations of one trace, oldest first, as `GET v2/observations` returns them."""

    id: str
    observations: tuple[Observation, ...]

    @property
    def name(self) -> str:
        """The name of the trace; without one, that of its first observation."""
        return next((one["traceName"] for one in self.observations if one.get("traceName")), "") or str(
            self.observations[0].get("name") or ""
        )

    @property
    def session_id(self) -> str:
        """The session, or nothing."""
        return next((one["sessionId"] for one in self.observations if one.get("sessionId")), "")

    @property
    def cost(self) -> float:
        """What all observations cost together, in USD."""
        return sum(float(one.get("totalCost") or 0) for one in self.observations)

    def is_called(self, name: str) -> bool:
        """Return whether the trace or one of its observations has this name."""
        return self.name == name or any(one.get("name") == name for one in self.observations)

    def tree(self) -> str:
        """Return a line for the trace, and one for each observation below its parent."""
        head = f"trace {self.id}: {self.name}" + (f", session {self.session_id}" if self.session_id else "")
        return "\n".join([head, *_lines(self.observations)])


def traces_of(observations: Iterable[Observation]) -> list[Trace]:
    """Return the traces that observations make up, by when they began."""
    grouped: dict[str, list[Observation]] = defaultdict(list)
    for one in sorted(observations, key=lambda one: str(one["startTime"])):
        grouped[str(one["traceId"])].append(one)
    return [Trace(trace_id, tuple(found)) for trace_id, found in grouped.items()]


def _lines(observations: Iterable[Observation]) -> Iterator[str]:
    children: dict[str | None, list[Observation]] = defaultdict(list)
    found = list(observations)
    ids = {one["id"] for one in found}
    for one in found:
        parent = one.get("parentObservationId")
        # The parent may be a span that was never ended, or one of another service.
        children[parent if parent in ids and parent != one["id"] else None].append(one)
    yield from _branch(None, children, "")


def _branch(parent: str | None, children: dict[str | None, list[Observation]], indent: str) -> Iterator[str]:
    below = children.pop(parent, [])
    for one in below:
        last = one is below[-1]
        yield f"{indent}{'└─' if last else '├─'} {_line(one)}"
        yield from _branch(one["id"], children, indent + ("   " if last else "│  "))


def _line(one: Observation) -> str:
    words = [str(one.get("type") or ""), str(one.get("name") or "(no name)"), _duration(one)]
    if one.get("model"):
        words.append(str(one["model"]))
    if cost := float(one.get("totalCost") or 0):
        words.append(f"${cost:.6f}")
    if one.get("level") not in (None, "DEFAULT"):
        words.append(" ".join(filter(None, [one["level"], one.get("statusMessage")])))
    return "  ".join(filter(None, words))


def _duration(one: Observation) -> str:
    if not one.get("endTime"):
        return ""
    begin, end = (datetime.fromisoformat(str(one[name])) for name in ("startTime", "endTime"))
    seconds = (end - begin).total_seconds()
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
