"""What checks of stores have in common: it answers to its password; what to do where it is external."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, TypeVar

from scripts.check.doctor.facts import Facts, NotGathered
from scripts.check.doctor.model import Status, Verdict, failed, ok
from scripts.check.doctor.sources.clients import DoesNotAnswer
from scripts.check.doctor.sources.containers import Containers


class StoreFacts(Protocol):
    """Facts of a store."""

    @property
    def external(self) -> bool:
        """Whether someone else runs it."""


Kind = TypeVar("Kind")
Judge = Callable[[Facts], Verdict]


def answers(service: str, kind: type[Kind], text: Callable[[Kind], str], external_fix: str) -> Judge:
    """Return a check that fails when a store does not answer to its own password."""

    def judge(facts: Facts) -> Verdict:
        try:
            return ok(text(facts.of(kind)))
        except DoesNotAnswer as reason:
            return failed(str(reason), external_fix)
        except NotGathered as reason:
            try:
                facts.of(Containers).running(service)
            except NotGathered:
                raise reason from None
            return failed(str(reason))

    return judge


def elsewhere(kind: type[StoreFacts], judge: Judge, external_fix: str) -> Judge:
    """Return a check with another fix where the store is external: nothing of this checkout configures it."""

    def judged(facts: Facts) -> Verdict:
        verdict = judge(facts)
        complains = verdict.status in (Status.WARNING, Status.FAILED)
        if complains and not verdict.fix and facts.of(kind).external:
            return replace(verdict, fix=external_fix)
        return verdict

    return judged
