"""Carry out a plan: in the order of dependencies, several objects at a time, safe to repeat after a crash."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from scripts.api.errors import ApiError

from .kinds import KINDS
from .kinds.prompts import Prompts
from .plan import ProjectPlan
from .resources import Action, Change
from .server import Server

_BY_NAME = {kind.name: kind for kind in KINDS}


def nothing(_change: Change) -> None:
    """Do nothing after a change."""


def apply_project(server: Server, plan: ProjectPlan, done: Callable[[Change], None] = nothing) -> int:
    """Make the changes of a plan; return how many. `done` is called after each, from any thread.

    Every change can be repeated, so that a run that ends in the middle is followed by a new plan that has
    only the rest.

    Raises:
        ApiError: the server refused one; those before it are made.
    """
    count = 0
    stages = itertools.groupby(plan.doable, key=_stage)
    for (deletes, kind, _level), group in stages:
        changes = list(group)
        if deletes and kind == Prompts.name:
            count += _delete_prompts(server, changes, done)
            continue

        def work(change: Change) -> None:
            _BY_NAME[change.kind].write(server, change)
            done(change)

        count += len(server.each(work, changes))
    return count


def _stage(change: Change) -> tuple[bool, str, int]:
    return change.action is Action.DELETE, change.kind, change.wanted.level if change.wanted else 0


def _delete_prompts(server: Server, changes: list[Change], done: Callable[[Change], None]) -> int:
    """Delete prompts one by one: one that others include is refused until these are gone."""
    waiting, count = changes, 0
    while waiting:
        refused: list[Change] = []
        last: ApiError | None = None
        for change in waiting:
            try:
                _BY_NAME[change.kind].write(server, change)
            except ApiError as error:
                refused.append(change)
                last = error
                continue
            done(change)
            count += 1
        if last and len(refused) == len(waiting):
            raise last
        waiting = refused
    return count
