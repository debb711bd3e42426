"""From pairs to a comparison, and from that to a verdict."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from .measures import LEVEL, Estimate, correlation_of, difference_of_means, kappa_of, mean_of, share_of
from .pairs import CATEGORICAL, NUMERIC, Pair, Paired, Value

LEAST_PAIRS = 30
LEAST_IN_GROUP = 10
MOST_BIAS = 0.1
"""How far the mean of a judge may be from that of people, as a part of the range of the scores."""
_MOST_CONFUSIONS = 5


class Trust(StrEnum):
    """What a comparison says of a judge."""

    TRUSTED = "trusted"
    NOT_TRUSTED = "not trusted"
    OPEN = "not established"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether to trust a judge, and the sentence that says why."""

    trust: Trust
    text: str


@dataclass(frozen=True, slots=True)
class Group:
    """A part of the pairs.

    Attributes:
        bias: the mean of the judge minus that of people; of categories the share on which they differ.
        against_rest: how much higher that is than among all other pairs; its interval is wider, so that among
            all groups of a kind one in twenty comparisons of equal judges is wrong.
    """

    kind: str
    name: str
    bias: Estimate
    against_rest: Estimate | None


@dataclass(frozen=True, slots=True)
class Cost:
    """What the judgements of the period cost, in USD; `usd` is ``None`` where their model has no price."""

    judgements: int
    usd: float | None

    @property
    def each(self) -> float | None:
        """USD for one judgement."""
        return None if self.usd is None or not self.judgements else self.usd / self.judgements


@dataclass(frozen=True, slots=True)
class Comparison:
    """A judge beside people. Of measures those are ``None`` that the data type or the data do not give.

    Attributes:
        agreement: the share of pairs on which both say the same.
        kappa: Cohen's, agreement beyond chance.
        correlation: Pearson's r.
        error: the mean absolute difference.
        bias: the mean of the judge minus that of people.
        bias_share: `bias` as a part of the range of the scores.
        length_trend: correlation of the difference with the logarithm of the output's length.
        confusions: what the judge said, what people said, how often; the most frequent ones.
    """

    paired: Paired
    threshold: float
    verdict: Verdict
    agreement: Estimate | None = None
    kappa: Estimate | None = None
    correlation: Estimate | None = None
    error: Estimate | None = None
    bias: Estimate | None = None
    bias_share: float | None = None
    groups: Sequence[Group] = ()
    length_trend: Estimate | None = None
    confusions: Sequence[tuple[Value, Value, int]] = ()
    cost: Cost | None = field(default=None)


def compare(
    paired: Paired, threshold: float, limits: tuple[float, float] | None, cost: Cost | None
) -> Comparison:
    """Return the comparison of a judge with people.

    Args:
        threshold: what the lower end of the interval of kappa, or of r for numbers, has to reach.
        limits: least and greatest value by the score config; without them those that were given count.
        cost: of the judge's judgements.
    """
    pairs = paired.pairs
    differences = [_difference(pair, paired.data_type) for pair in pairs]
    groups, trend = _groups(pairs, differences, paired.data_type), _length_trend(pairs, differences)
    if paired.data_type == NUMERIC:
        said, human = ([float(getattr(pair, who)) for pair in pairs] for who in ("judge", "human"))
        correlation, bias = correlation_of(said, human), mean_of(differences)
        low, high = limits or (min([*said, *human], default=0), max([*said, *human], default=0))
        share = bias.value / (high - low) if bias and high > low else None
        return Comparison(
            paired,
            threshold,
            _verdict(paired, "r", correlation, threshold, share, groups, trend),
            correlation=correlation,
            error=mean_of([abs(one) for one in differences]),
            bias=bias,
            bias_share=share,
            groups=groups,
            length_trend=trend,
            cost=cost,
        )
    both = [(pair.judge, pair.human) for pair in pairs]
    kappa = kappa_of(both)
    is_boolean = paired.data_type != CATEGORICAL
    differing = Counter((one, two) for one, two in both if one != two)
    return Comparison(
        paired,
        threshold,
        _verdict(paired, "kappa", kappa, threshold, None, groups, trend),
        agreement=share_of(sum(one == two for one, two in both), len(both)),
        kappa=kappa,
        bias=mean_of(differences) if is_boolean else None,
        groups=groups,
        length_trend=trend,
        confusions=[
            (*pair, count)
            for pair, count in sorted(differing.items(), key=lambda one: (-one[1], str(one[0])))
        ][:_MOST_CONFUSIONS],
        cost=cost,
    )


def _difference(pair: Pair, data_type: str) -> float:
    if data_type == CATEGORICAL:
        return float(pair.judge != pair.human)
    return float(pair.judge) - float(pair.human)


def _groups(pairs: Sequence[Pair], differences: Sequence[float], data_type: str) -> list[Group]:
    models = [pair.model for pair in pairs]
    found = _groups_of("model", models, sorted(set(models) - {""}), differences, data_type)
    lengths = sorted(pair.length for pair in pairs if pair.length is not None)
    if not lengths or lengths[0] == lengths[-1]:
        return found
    first, second = lengths[len(lengths) // 3], lengths[2 * len(lengths) // 3]
    names = (f"under {first:,}", f"{first:,} to {second - 1:,}", f"{second:,} and more")
    labels = [
        "" if pair.length is None else names[(pair.length >= first) + (pair.length >= second)]
        for pair in pairs
    ]
    return found + _groups_of("length", labels, names, differences, data_type)


def _groups_of(
    kind: str, labels: Sequence[str], names: Sequence[str], differences: Sequence[float], data_type: str
) -> list[Group]:
    large = [name for name in names if labels.count(name) >= LEAST_IN_GROUP]
    level = 1 - (1 - LEVEL) / max(len(large), 1)
    found = []
    for name in large:
        own = [one for one, label in zip(differences, labels, strict=True) if label == name]
        rest = [one for one, label in zip(differences, labels, strict=True) if label not in (name, "")]
        bias = share_of(own.count(1.0), len(own)) if data_type == CATEGORICAL else mean_of(own)
        if bias is not None:
            against = difference_of_means(own, rest, level) if len(rest) >= LEAST_IN_GROUP else None
            found.append(Group(kind, name, bias, against))
    return found


def _length_trend(pairs: Sequence[Pair], differences: Sequence[float]) -> Estimate | None:
    known = [
        (math.log1p(pair.length), difference)
        for pair, difference in zip(pairs, differences, strict=True)
        if pair.length is not None
    ]
    if len(known) < LEAST_PAIRS:
        return None
    return correlation_of([one for one, _ in known], [two for _, two in known])


def _verdict(
    paired: Paired,
    name: str,
    measure: Estimate | None,
    threshold: float,
    bias_share: float | None,
    groups: Sequence[Group],
    trend: Estimate | None,
) -> Verdict:
    n = len(paired.pairs)
    if n < LEAST_PAIRS:
        return Verdict(Trust.OPEN, f"Not established: both scored {n} items, {LEAST_PAIRS} are the least.")
    if measure is None:
        return Verdict(
            Trust.OPEN, f"Not established: one of both always says the same, so {name} is not defined."
        )
    range_ = f"{name} is {measure.low:.2f} to {measure.high:.2f}"
    if measure.high < threshold:
        return Verdict(Trust.NOT_TRUSTED, f"Not to be trusted: {range_}, below {threshold:g}.")
    if bias_share is not None and abs(bias_share) > MOST_BIAS:
        side = "above" if bias_share > 0 else "below"
        return Verdict(
            Trust.NOT_TRUSTED,
            f"Not to be trusted: its mean is {abs(bias_share):.0%} of the range {side} that of people, "
            f"more than {MOST_BIAS:.0%}.",
        )
    if measure.low < threshold:
        return Verdict(
            Trust.OPEN,
            f"Not established: {range_}, {threshold:g} is between: let people score more items.",
        )
    odd = [f"{one.kind} {one.name}" for one in groups if one.against_rest and one.against_rest.excludes_zero]
    if trend and trend.excludes_zero and not any(one.startswith("length") for one in odd):
        odd.append("length")
    but = f" It differs by {', '.join(odd)}: compare such outputs with care." if odd else ""
    return Verdict(Trust.TRUSTED, f"To be trusted: {range_}, at least {threshold:g}.{but}")
