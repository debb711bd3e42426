"""The check that every bundled store has: it answers to its own password."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from scripts.check.doctor.facts import Facts, NotGathered
from scripts.check.doctor.model import Verdict, failed, ok
from scripts.check.doctor.sources.containers import Containers

Kind = TypeVar("Kind")


def answers(service: str, kind: type[Kind], text: Callable[[Kind], str]) -> Callable[[Facts], Verdict]:
    """Return a check that fails when a container that runs does not answer to its own password."""

    def judge(facts: Facts) -> Verdict:
        try:
            return ok(text(facts.of(kind)))
        except NotGathered as reason:
            try:
                facts.of(Containers).running(service)
            except NotGathered:
                raise reason from None
            if "an external store" in str(reason):
                raise
            return failed(str(reason))

    return judge
