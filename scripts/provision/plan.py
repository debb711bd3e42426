"""The plan: what differs between the desired state and a server. A pure function that returns data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .content import Content
from .kinds import KINDS
from .resources import Action, Change, Found, Wanted
from .server import Server

Desired = Mapping[str, Sequence[Wanted]]
Actual = Mapping[str, Sequence[Found]]


@dataclass(frozen=True, slots=True)
class Left:
    """An object on the server that no file describes, and that is left alone."""

    kind: str
    key: str


@dataclass(frozen=True, slots=True)
class ProjectPlan:
    """What has to be done in one project.

    Attributes:
        project: its id.
        changes: in the order in which they are made.
        left: what is left alone.
        kept: how many objects are as wanted.
        scope: `project`, or `organization` for members.
    """

    project: str
    changes: tuple[Change, ...]
    left: tuple[Left, ...] = ()
    kept: int = 0
    scope: str = "project"

    @property
    def doable(self) -> tuple[Change, ...]:
        """The changes that the API can make."""
        return tuple(change for change in self.changes if change.action is not Action.BLOCKED)

    @property
    def deletions(self) -> tuple[Change, ...]:
        """The changes that take something away for good."""
        return tuple(change for change in self.changes if change.action is Action.DELETE)


def desired_state(content: Content, secrets: Mapping[str, str]) -> Desired:
    """Return what the files describe. Raises UsageError for a secret that is not set."""
    return {kind.name: kind.wanted(content, secrets) for kind in KINDS}


def actual_state(server: Server, desired: Desired) -> Actual:
    """Return what a project has. `desired` says where to look closer. Raises ApiError."""
    return {kind.name: kind.found(server, desired[kind.name]) for kind in KINDS}


def plan_project(project: str, desired: Desired, actual: Actual, *, prune: bool = False) -> ProjectPlan:
    """Return what has to be done so that the project has what is desired.

    With `prune`, what no file describes is taken away; else it is left alone and named.
    """
    changes: list[Change] = []
    removals: list[Change] = []
    left: list[Left] = []
    kept = 0
    for kind in KINDS:
        found = {one.key: one for one in actual[kind.name]}
        wanted = sorted(desired[kind.name], key=lambda one: one.level)
        for one in wanted:
            change = kind.compare(one, found.get(one.key))
            if change:
                changes.append(change)
            else:
                kept += 1
        names = {one.key for one in wanted}
        for other in actual[kind.name]:
            removal = kind.removal(other) if other.key not in names else None
            if removal and prune:
                removals.append(removal)
            elif removal:
                left.append(Left(kind.name, other.key))
    return ProjectPlan(project, (*changes, *reversed(removals)), tuple(left), kept)
