"""The steps of an upgrade, and those of its way back. Each can be repeated: what was interrupted goes on."""

from __future__ import annotations

from enum import StrEnum

from scripts.engines.base import EngineName


class Step(StrEnum):
    """What an upgrade does, in this order."""

    PULL = "bring the images"
    BACKUP = "back up everything"
    VERSION = "write LANGFUSE_VERSION to .env"
    WEB = "stop the worker, start web, which migrates both databases"
    MIGRATIONS = "see that the migrations are complete"
    WORKER = "start the worker and all else"
    COPY = "stop the engine, copy its data"
    START = "start the engine, which brings its data to the new schema"
    READ_BACK = "spot-check data from before the upgrade"
    SMOKE = "smoke tests"


class Undo(StrEnum):
    """What a rollback does, in this order."""

    VERSION = "write the former LANGFUSE_VERSION to .env"
    DATA = "restore the data from before, where a migration has changed it"
    START = "start the former version"
    REPLAY = "replay what was acknowledged since"


STEPS = {
    # The images come first: nothing was done yet when that fails, and the backup is as young as can be.
    EngineName.COMPOSE: (
        Step.PULL,
        Step.BACKUP,
        Step.VERSION,
        Step.WEB,
        Step.MIGRATIONS,
        Step.WORKER,
        Step.READ_BACK,
        Step.SMOKE,
    ),
    EngineName.EMBEDDED: (Step.COPY, Step.START, Step.READ_BACK, Step.SMOKE),
}


def way_back(engine: EngineName, reached: Step) -> tuple[Undo, ...]:
    """Return what undoes an upgrade whose step `reached` was begun, and maybe done."""
    order = STEPS[engine]
    if engine is EngineName.EMBEDDED:
        return () if reached is Step.COPY else (Undo.DATA,)
    if order.index(reached) < order.index(Step.WEB):
        # Before the version was written too: the default may be another one by now, and a backup that was
        # killed leaves the worker stopped.
        return (Undo.VERSION, Undo.START)
    return tuple(Undo)
