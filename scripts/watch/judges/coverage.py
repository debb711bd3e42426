"""Coverage that was promised, such as that of conformal prediction, beside what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .compare import LEAST_PAIRS, Trust, Verdict
from .measures import Estimate, mean_of


@dataclass(frozen=True, slots=True)
class Coverage:
    """The mean of a score from 0 to 1 that says how much of the truth was in what was predicted."""

    score: str
    target: float
    n: int
    mean: Estimate | None
    verdict: Verdict


def coverage_of(score: str, values: Sequence[float], target: float) -> Coverage:
    """Return how the mean of the values compares with what was promised."""
    mean = mean_of(values)
    return Coverage(score, target, len(values), mean, _verdict(mean, len(values), target))


def _verdict(mean: Estimate | None, n: int, target: float) -> Verdict:
    if mean is None or n < LEAST_PAIRS:
        return Verdict(Trust.OPEN, f"Not established: {n} scores, {LEAST_PAIRS} are the least.")
    found = f"coverage is {mean.low:.3f} to {mean.high:.3f}"
    if mean.high < target:
        return Verdict(Trust.NOT_TRUSTED, f"Not to be trusted: {found}, below the promised {target:g}.")
    if mean.low > target:
        return Verdict(
            Trust.TRUSTED, f"To be trusted, but too cautious: {found}, above the promised {target:g}."
        )
    return Verdict(Trust.TRUSTED, f"To be trusted: {found}, the promised {target:g} is inside.")
