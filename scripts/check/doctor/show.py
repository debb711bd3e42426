"""Results for people and for programs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence

from scripts.core.console import Console

from .model import Group, Result, Status

STYLES = {Status.OK: "green", Status.WARNING: "yellow", Status.FAILED: "bold red", Status.SKIPPED: "dim"}
ENGINE_ONLY = "engine only"


def print_report(
    console: Console, results: Sequence[Result], *, stack: str, verbose: bool, seconds: float
) -> None:
    """Print what is wrong with its fix, and a line for each group; everything with `verbose`."""
    for group in Group:
        of_group = [result for result in results if result.check.group == group]
        if not of_group:
            continue
        console.print(f"{group:<14} {counts(of_group)}")
        for result in of_group:
            if (verbose and not for_other_engine(result)) or result.status in (Status.WARNING, Status.FAILED):
                for text in lines(result):
                    console.styled(f"  {text}", STYLES[result.status])
    skips = list(reasons(results))
    if skips and not verbose:
        console.print()
        console.print("Not looked at (VERBOSE=1 shows every check):")
        for text in skips:
            console.styled(f"  {text}", "dim")
    console.print()
    console.print(f"{len(results)} checks in {seconds:.1f} s: {counts(results)}; Langfuse Stack {stack}")


def for_other_engine(result: Result) -> bool:
    """Return whether a check was skipped as it is none of this engine."""
    return result.status is Status.SKIPPED and result.verdict.found.endswith(ENGINE_ONLY)


def lines(result: Result) -> Iterator[str]:
    """Yield the lines of one check."""
    yield f"{result.status:<8} {result.check.id}: {result.verdict.found}"
    if result.fix:
        yield f"         fix: {result.fix}"
        yield f"         see: docs/{result.check.page}"


def counts(results: Sequence[Result]) -> str:
    """Return how many ended how: `7 ok, 1 failed`."""
    count = Counter(result.status for result in results)
    return ", ".join(f"{count[status]} {status}" for status in Status if count[status])


def reasons(results: Sequence[Result]) -> Iterator[str]:
    """Yield why checks were skipped, one line for each reason; those of the other engine are one."""
    by_reason: dict[str, list[str]] = {}
    for result in results:
        if result.status is Status.SKIPPED:
            by_reason.setdefault(result.verdict.found, []).append(result.check.id)
    for reason, ids in by_reason.items():
        yield f"{len(ids)} checks {reason}" if reason.endswith(ENGINE_ONLY) else f"{', '.join(ids)}: {reason}"


def as_json(results: Sequence[Result], *, stack: str, engine: str, seconds: float) -> str:
    """Return the results as one document."""
    return json.dumps(
        {
            "stack": stack,
            "engine": engine,
            "seconds": round(seconds, 2),
            "counts": Counter(str(result.status) for result in results),
            "checks": [
                {
                    "id": result.check.id,
                    "group": result.check.group,
                    "status": result.status,
                    "found": result.verdict.found,
                    "fix": result.fix,
                    "page": f"docs/{result.check.page}",
                }
                for result in results
            ],
        },
        indent=2,
    )
