"""Decide which engine to use. The decision is pure: what has to be found out is asked through probes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scripts.core.errors import UsageError
from scripts.docker.availability import Finding

from .base import EngineName


@dataclass(frozen=True, slots=True)
class Probes:
    """Questions to this machine; asked only when the answer decides something."""

    docker: Callable[[], Finding]
    images: Callable[[], Finding]


@dataclass(frozen=True, slots=True)
class Choice:
    """The engine to use, and why."""

    engine: EngineName
    reason: str
    warning: str = ""


def choose_engine(wanted: str, remembered: str, probes: Probes, compose_only: Sequence[str] = ()) -> Choice:
    """Return which engine to use.

    Args:
        wanted: `ENGINE` of the environment or `.env`, or empty.
        remembered: the engine that holds the data of this stack, or empty before the first start.
        probes: asked for Docker and its images, in this order, when `compose` is a candidate.
        compose_only: settings that someone has given and the embedded engine does not have: there is no
            way back to it without a word then.

    Raises:
        UsageError: `compose` was asked for, also by its settings, or holds the data, and cannot run here.
    """
    if wanted:
        return _as_wanted(EngineName(wanted), remembered, probes)
    if remembered == EngineName.EMBEDDED:
        return Choice(EngineName.EMBEDDED, "the data of this stack is there")
    if remembered == EngineName.COMPOSE:
        _require_compose("The data of this stack is in the compose engine", probes.docker)
        return Choice(EngineName.COMPOSE, "the data of this stack is there")
    for probe in (probes.docker, probes.images):
        finding = probe()
        if not finding.usable:
            if compose_only:
                raise _unusable(f"{', '.join(compose_only)} ask for the compose engine", finding)
            return Choice(EngineName.EMBEDDED, finding.reason)
    return Choice(EngineName.COMPOSE, finding.reason)


def _as_wanted(wanted: EngineName, remembered: str, probes: Probes) -> Choice:
    if wanted is EngineName.COMPOSE:
        _require_compose("ENGINE=compose", probes.docker, probes.images)
    warning = ""
    if remembered and remembered != wanted:
        warning = f"data written with the {remembered} engine stays there; ENGINE={remembered} shows it again"
    return Choice(wanted, f"ENGINE={wanted}", warning)


def _require_compose(why: str, *probes: Callable[[], Finding]) -> None:
    for probe in probes:
        finding = probe()
        if not finding.usable:
            raise _unusable(why, finding)


def _unusable(why: str, finding: Finding) -> UsageError:
    return UsageError(
        f"{why}, but {finding.reason}.",
        fix=f"{finding.fix}; or use the embedded engine with its own data: make up ENGINE=embedded",
    )
