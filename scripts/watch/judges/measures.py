"""Measures of agreement with their confidence intervals, for samples of ten and more."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, variance

LEVEL = 0.95
"""Of every confidence interval."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A measure with its confidence interval and the size of the sample."""

    value: float
    low: float
    high: float
    n: int

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval is on one side of zero."""
        return self.low > 0 or self.high < 0


def z_of(level: float = LEVEL) -> float:
    """Return how many standard errors a two-sided interval of this level reaches."""
    return NormalDist().inv_cdf((1 + level) / 2)


def mean_of(values: Sequence[float], level: float = LEVEL) -> Estimate | None:
    """Return a mean with the interval of the normal distribution; ``None`` for fewer than two values."""
    if len(values) < 2:
        return None
    mean = fmean(values)
    reach = z_of(level) * math.sqrt(variance(values) / len(values))
    return Estimate(mean, mean - reach, mean + reach, len(values))


def difference_of_means(
    some: Sequence[float], rest: Sequence[float], level: float = LEVEL
) -> Estimate | None:
    """Return how much higher the mean of `some` is than that of `rest`; ``None`` when either has no two."""
    if len(some) < 2 or len(rest) < 2:
        return None
    value = fmean(some) - fmean(rest)
    reach = z_of(level) * math.sqrt(variance(some) / len(some) + variance(rest) / len(rest))
    return Estimate(value, value - reach, value + reach, len(some))


def share_of(hits: int, n: int) -> Estimate | None:
    """Return a share with Wilson's interval (Wilson 1927, doi:10.1080/01621459.1927.10502953)."""
    if n == 0:
        return None
    z = z_of()
    share = hits / n
    center = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Estimate(share, max(0.0, center - reach), min(1.0, center + reach), n)


def kappa_of(pairs: Sequence[tuple[Hashable, Hashable]]) -> Estimate | None:
    """Return Cohen's kappa: agreement beyond what chance makes; ``None`` when both always say the same.

    The standard error is the one for large samples of Fleiss, Cohen and Everitt (1969, doi:10.1037/h0028106).
    """
    n = len(pairs)
    if n == 0:
        return None
    joint = {pair: count / n for pair, count in Counter(pairs).items()}
    first = {label: count / n for label, count in Counter(one for one, _ in pairs).items()}
    second = {label: count / n for label, count in Counter(two for _, two in pairs).items()}
    observed = sum(share for (one, two), share in joint.items() if one == two)
    chance = sum(share * second.get(label, 0.0) for label, share in first.items())
    if chance > 1 - 1e-12:
        return None
    kappa = (observed - chance) / (1 - chance)
    agreed = sum(
        share * ((1 - chance) - (second[one] + first[one]) * (1 - observed)) ** 2
        for (one, two), share in joint.items()
        if one == two
    )
    differed = (1 - observed) ** 2 * sum(
        share * (second.get(one, 0.0) + first.get(two, 0.0)) ** 2
        for (one, two), share in joint.items()
        if one != two
    )
    spread = agreed + differed - (observed * chance - 2 * chance + observed) ** 2
    reach = z_of() * math.sqrt(max(spread, 0.0) / n) / (1 - chance) ** 2
    low = kappa - reach
    if observed == 1:
        # The standard error is 0 where nothing differs, however few pairs there are.
        low = ((share_of(n, n) or Estimate(1, 1, 1, n)).low - chance) / (1 - chance)
    return Estimate(kappa, max(low, -1.0), min(kappa + reach, 1.0), n)


def correlation_of(some: Sequence[float], others: Sequence[float]) -> Estimate | None:
    """Return Pearson's r with the interval of Fisher's z; ``None`` below four pairs or without variation."""
    n = len(some)
    if n < 4:
        return None
    mean, other_mean = fmean(some), fmean(others)
    spread = math.fsum((one - mean) ** 2 for one in some)
    other_spread = math.fsum((one - other_mean) ** 2 for one in others)
    if spread == 0 or other_spread == 0:
        return None
    together = math.fsum((one - mean) * (two - other_mean) for one, two in zip(some, others, strict=True))
    r = max(-1.0, min(1.0, together / math.sqrt(spread * other_spread)))
    if abs(r) > 1 - 1e-12:
        return Estimate(r, r, r, n)
    reach = z_of() / math.sqrt(n - 3)
    return Estimate(r, math.tanh(math.atanh(r) - reach), math.tanh(math.atanh(r) + reach), n)
