"""Histograms with bins that follow the data: dense where values are, as the server's are.

Values start as points of their own. The two neighbours closest to each other are merged, again and again,
until as many points are left as bins were asked for (Ben-Haim and Tom-Tov, "A Streaming Parallel Decision
Tree Algorithm", 2010). A bin reaches from the middle to the previous point to the middle to the next one;
heights are smoothed with those of the neighbours, and add up to the number of values.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

Bin = tuple[float, float, float]
DEFAULT_BINS = 10
# Up to this many values are merged one by one; of more, as many quantiles stand for all.
SAMPLE_LIMIT = 1000


def sample_sql(values: str) -> str:
    """Return the SQL of what `histogram` reads of a sorted list: its length, and the list or a sample."""
    return (
        f"{{'total': len({values}), 'points': case when len({values}) > {SAMPLE_LIMIT}"
        f" then list_transform(range({SAMPLE_LIMIT}), lambda place:"
        f" {values}[1 + place * (len({values}) - 1) // {SAMPLE_LIMIT - 1}]) else {values} end}}"
    )


def counted_sample_sql(counted: str) -> str:
    """Return the statement of the same sample from equal values that were counted before: one row.

    `counted` selects a value as `v` and its number as `c`. Sorting the few different values of a million
    latencies takes a tenth of the time that sorting all of them takes. Where nearly all values differ it
    takes three times as long: this is for whole numbers, and not for groups of them.
    """
    last = SAMPLE_LIMIT - 1
    # The value fills the places from `upto - c` on; place i of the sample is i * (n - 1) // last of all.
    taken = (
        f"case when n <= {SAMPLE_LIMIT} then c"
        f" else (upto * {last} + n - 2) // (n - 1) - ((upto - c) * {last} + n - 2) // (n - 1) end"
    )
    return (
        "select {'total': any_value(n)::bigint,"
        " 'points': flatten(list(repeat([v], k::bigint) order by v) filter (where k > 0))} as m0"
        f" from (select v, n, {taken} as k"
        f" from (select v, c, sum(c) over () as n, sum(c) over (order by v) as upto from ({counted})))"
    )


def histogram(points: Sequence[float], total: int, bins: int) -> list[Bin]:
    """Return at most `bins` bins (lower edge, upper edge, height) of a sample of `total` values."""
    if not points:
        return []
    weight = total / len(points)
    means = sorted(points)
    lowest, highest = means[0], means[-1]
    return _bins(_merge(means, [weight] * len(means), bins), lowest, highest)


def _merge(means: list[float], weights: list[float], bins: int) -> list[tuple[float, float]]:
    """Merge the closest neighbours until `bins` points (mean, weight) are left; equal means always merge.

    Both lists are used up.
    """
    count = len(means)
    following = list(range(1, count + 1))
    previous = list(range(-1, count - 1))
    alive = [True] * count
    gaps = [(means[i + 1] - means[i], i, i + 1) for i in range(count - 1)]
    heapq.heapify(gaps)
    left = count
    while gaps:
        gap, i, j = heapq.heappop(gaps)
        if left <= bins and gap > 0:
            break
        if not (alive[i] and alive[j]) or following[i] != j or means[j] - means[i] != gap:
            continue  # one of the two has been merged or moved since
        weight = weights[i] + weights[j]
        means[i] = means[i] if gap == 0 else (means[i] * weights[i] + means[j] * weights[j]) / weight
        weights[i] = weight
        alive[j] = False
        following[i] = after = following[j]
        left -= 1
        if after < count:
            previous[after] = i
            heapq.heappush(gaps, (means[after] - means[i], i, after))
        if (before := previous[i]) >= 0:
            heapq.heappush(gaps, (means[i] - means[before], before, i))
    return [(means[i], weights[i]) for i in range(count) if alive[i]]


def _bins(points: list[tuple[float, float]], lowest: float, highest: float) -> list[Bin]:
    result: list[Bin] = []
    last = len(points) - 1
    for i, (mean, weight) in enumerate(points):
        lower = lowest if i == 0 else (points[i - 1][0] + mean) / 2
        upper = highest if i == last else (mean + points[i + 1][0]) / 2
        left = weight if i == 0 else (points[i - 1][1] + 3 * weight) / 4
        right = weight if i == last else (points[i + 1][1] + 3 * weight) / 4
        result.append((lower, upper, (left + right) / 2))
    return result
