"""A comparison as lines of 80 columns, and as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from .compare import MOST_BIAS, Comparison
from .coverage import Coverage
from .measures import Estimate
from .pairs import CATEGORICAL

WIDTH = 80
_NAME = 36


def lines_of(one: Comparison) -> list[str]:
    """Return a comparison as lines; the last one is the verdict."""
    paired = one.paired
    who = f"judge {paired.judge}" + (f", people {paired.human}" if paired.human != paired.judge else "")
    lines = [
        _cut(f"{who} ({paired.data_type.lower()})", WIDTH),
        f"  {_cut('', _NAME)}  {'value':>8}  {'95 % interval':>17}  {'items':>6}",
    ]
    for name, estimate in (
        ("agreement", one.agreement),
        ("Cohen's kappa", one.kappa),
        ("correlation (Pearson's r)", one.correlation),
        ("mean absolute error", one.error),
        ("bias (judge - people)", one.bias),
        ("difference by length (r)", one.length_trend),
    ):
        if estimate is not None:
            lines.append(_line(name, estimate))
    named = "differs, " if paired.data_type == CATEGORICAL else "bias, "
    for group in one.groups:
        mark = " *" if group.against_rest and group.against_rest.excludes_zero else ""
        label = f"{group.name} characters" if group.kind == "length" else group.name
        lines.append(_line(f"{named}{label}", group.bias) + mark)
    if any(line.endswith(" *") for line in lines):
        lines.append("  * differs from the other items")
    for judge, human, count in one.confusions:
        lines.append(_cut(f"  judge says {_value(judge)}, people {_value(human)}: {count:,}", WIDTH))
    left = f"  judged {paired.judged:,}, scored by people {paired.scored:,}, both {len(paired.pairs):,}"
    lines.append(left + (f", ambiguous {paired.ambiguous:,}" if paired.ambiguous else ""))
    if one.cost is not None:
        each = (
            "without a price"
            if one.cost.each is None
            else f"{one.cost.usd:.4g} USD, {one.cost.each:.3g} each"
        )
        lines.append(f"  cost of {one.cost.judgements:,} judgements: {each}")
    return [*lines, *textwrap.wrap(one.verdict.text, WIDTH, break_on_hyphens=False)]


def lines_of_coverage(one: Coverage) -> list[str]:
    """Return a coverage as lines; the last one is the verdict."""
    lines = [_cut(f"coverage {one.score}, promised {one.target:g}", WIDTH)]
    if one.mean is not None:
        lines.append(_line("mean", one.mean))
    return [*lines, *textwrap.wrap(one.verdict.text, WIDTH)]


def as_json(project: str, found: Sequence[Comparison], coverage: Coverage | None) -> dict[str, Any]:
    """Return all of a project for programs. Shares and intervals are not rounded."""
    return {
        "project": project,
        "judges": [_json(one) for one in found],
        "coverage": None if coverage is None else asdict(coverage),
    }


def _json(one: Comparison) -> dict[str, Any]:
    values = asdict(one)
    paired = values.pop("paired")
    return {
        "judge": paired["judge"],
        "human": paired["human"],
        "data_type": paired["data_type"],
        "items": len(paired["pairs"]),
        **{name: paired[name] for name in ("judged", "scored", "ambiguous")},
        "most_bias": MOST_BIAS,
        **values,
    }


def _line(name: str, estimate: Estimate) -> str:
    interval = f"{estimate.low:.3f} .. {estimate.high:.3f}"
    return f"  {_cut(name, _NAME)}  {estimate.value:>8.3f}  {interval:>17}  {estimate.n:>6,}"


def _value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _cut(text: str, width: int) -> str:
    return f"{text[: width - 1]}…" if len(text) > width else f"{text:<{width}}" if width == _NAME else text
