"""Measures against what numpy makes of the same data, by other formulas where there are any."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from scripts.watch.judges.measures import (
    Estimate,
    correlation_of,
    difference_of_means,
    kappa_of,
    mean_of,
    share_of,
)

Z = 1.959963984540054  # of the normal distribution, for 95 %
LABELS = ("right", "partly right", "wrong")


def sample(seed: int, n: int = 80) -> list[tuple[str, str]]:
    """Return what two raters say of the same items; the second repeats the first in 60 of 100 cases."""
    random = np.random.default_rng(seed)
    first = random.choice(LABELS, n, p=[0.5, 0.3, 0.2])
    other = random.choice(LABELS, n)
    second = np.where(random.random(n) < 0.6, first, other)
    return [(str(one), str(two)) for one, two in zip(first, second, strict=True)]


def kappa_of_table(table: NDArray[np.float64]) -> float:
    """Return kappa of a table of shares."""
    chance = float(table.sum(axis=1) @ table.sum(axis=0))
    return (float(np.trace(table)) - chance) / (1 - chance)


def kappa_by_delta_method(pairs: list[tuple[str, str]]) -> tuple[float, float]:
    """Return kappa and its standard error from the gradient of kappa and the covariance of the shares."""
    n, size = len(pairs), len(LABELS)
    table = np.zeros((size, size))
    for one, two in pairs:
        table[LABELS.index(one), LABELS.index(two)] += 1 / n
    step = 1e-6
    gradient = np.zeros(size * size)
    for place in range(size * size):
        moved = np.zeros(size * size)
        moved[place] = step
        moved = moved.reshape(size, size)
        gradient[place] = (kappa_of_table(table + moved) - kappa_of_table(table - moved)) / (2 * step)
    shares = table.ravel()
    covariance = np.diag(shares) - np.outer(shares, shares)
    return kappa_of_table(table), math.sqrt(float(gradient @ covariance @ gradient) / n)


@pytest.mark.parametrize("seed", range(5))
def test_kappa_and_its_interval_are_those_of_the_delta_method(seed: int) -> None:
    pairs = sample(seed)
    kappa, error = kappa_by_delta_method(pairs)
    found = kappa_of(pairs)
    assert found is not None
    assert found.value == pytest.approx(kappa, abs=1e-9)
    assert (found.low, found.high) == (
        pytest.approx(kappa - Z * error, abs=1e-6),
        pytest.approx(kappa + Z * error, abs=1e-6),
    )


def test_kappa_of_a_table_worked_by_hand() -> None:
    # 20 times both yes, 5 and 10 times one of them, 15 times both no: po = 0.7, pe = 0.5.
    pairs = [("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15
    found = kappa_of(pairs)
    assert found is not None
    assert found.value == pytest.approx(0.4)


def test_kappa_is_not_defined_where_both_always_say_the_same() -> None:
    assert kappa_of([("y", "y")] * 40) is None
    assert kappa_of([]) is None


def test_full_agreement_of_few_is_less_sure_than_that_of_many() -> None:
    few, many = (kappa_of([("y", "y"), ("n", "n")] * half) for half in (15, 500))
    assert few is not None
    assert many is not None
    assert (few.value, few.high) == (many.value, many.high) == (1, 1)
    assert few.low == pytest.approx(0.773, abs=0.001)
    assert many.low > 0.99


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (7, 10), (10, 10), (400, 1000)])
def test_the_interval_of_a_share_is_where_its_distance_is_z_standard_errors(hits: int, n: int) -> None:
    share = hits / n
    # (share - p)^2 = z^2 p (1 - p) / n
    roots = sorted(np.roots([1 + Z**2 / n, -2 * share - Z**2 / n, share**2]).real)
    found = share_of(hits, n)
    assert found == Estimate(
        share, pytest.approx(max(roots[0], 0), abs=1e-9), pytest.approx(min(roots[1], 1), abs=1e-9), n
    )
    assert share_of(0, 0) is None


@pytest.mark.parametrize("seed", range(3))
def test_correlation_mean_and_difference_are_those_of_numpy(seed: int) -> None:
    random = np.random.default_rng(seed)
    some = random.normal(0.5, 0.2, 60)
    others = some + random.normal(0.1, 0.1, 60)
    r = float(np.corrcoef(some, others)[0, 1])
    found = correlation_of(list(some), list(others))
    assert found is not None
    assert found.value == pytest.approx(r)
    half = Z / math.sqrt(57)
    # Fisher's z is half the logarithm of (1 + r) / (1 - r).
    ends = [0.5 * math.log((1 + r) / (1 - r)) + sign * half for sign in (-1, 1)]
    expected = [(math.exp(2 * z) - 1) / (math.exp(2 * z) + 1) for z in ends]
    assert [found.low, found.high] == [pytest.approx(one) for one in expected]
    mean = mean_of(list(some))
    error = float(np.std(some, ddof=1)) / math.sqrt(60)
    assert mean is not None
    assert mean.value == pytest.approx(float(np.mean(some)))
    assert mean.high - mean.low == pytest.approx(2 * Z * error)
    difference = difference_of_means(list(some), list(others[:30]))
    error = math.sqrt(float(np.var(some, ddof=1)) / 60 + float(np.var(others[:30], ddof=1)) / 30)
    assert difference is not None
    assert difference.value == pytest.approx(float(np.mean(some) - np.mean(others[:30])))
    assert difference.high - difference.low == pytest.approx(2 * Z * error)


def test_what_does_not_vary_has_no_correlation() -> None:
    assert correlation_of([1.0] * 10, [float(one) for one in range(10)]) is None
    assert correlation_of([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]) is None
    assert correlation_of([1.0, 2.0, 3.0, 4.0], [2.0, 4.0, 6.0, 8.0]) == Estimate(1, 1, 1, 4)
    assert mean_of([1.0]) is None
    assert difference_of_means([1.0], [1.0, 2.0]) is None
