"""Judge: run checks over facts as they come in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from scripts.core.errors import EXIT_FAILED, EXIT_OK, EXIT_WARNINGS
from scripts.engines.context import Context

from .facts import Gathering, NotGathered, Surroundings
from .gathering import SOURCES
from .model import Check, Result, Status, skipped


@contextmanager
def gathered(context: Context, *, read_only: bool = False, everything: bool = True) -> Iterator[Gathering]:
    """Ask all sources at once, or with `everything` off each when a check wants it."""
    gathering = Gathering(Surroundings.of(context, read_only=read_only), SOURCES)
    try:
        if everything:
            gathering.start_all()
        yield gathering
    finally:
        gathering.close()


def examine(checks: Sequence[Check], facts: Gathering) -> list[Result]:
    """Return what each check says, in their order."""
    engine = facts.surroundings.engine.name
    results = []
    for check in checks:
        if engine not in check.engines:
            others = ", ".join(sorted(check.engines))
            results.append(Result(check, skipped(f"for the {others} engine only")))
            continue
        try:
            verdict = check.judge(facts)
        except NotGathered as reason:
            verdict = skipped(str(reason))
        results.append(Result(check, verdict))
    return results


def exit_code(results: Sequence[Result]) -> int:
    """Return 1 when a check failed, 3 when one warned, else 0."""
    statuses = {result.status for result in results}
    if Status.FAILED in statuses:
        return EXIT_FAILED
    return EXIT_WARNINGS if Status.WARNING in statuses else EXIT_OK
