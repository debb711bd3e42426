"""Experiments in numbers, and several of them item by item against a baseline."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from markupsafe import Markup

from langfuse_embedded.store.experiments import ExperimentItem
from langfuse_embedded.store.score_rows import StoredScore

from .content import Content, content_of, plain_text
from .diff import difference
from .tables import Run

ScoresByTrace = Mapping[str, Sequence[StoredScore]]
BINS = 10
_NUMBERS = ("NUMERIC", "BOOLEAN")
_MOST_LABELS = 6

_FIGURES = """
select experiment_id, count(*), sum(cost), quantile_cont(took, 0.5), quantile_cont(took, 0.95)
from (
    select o.experiment_id, o.trace_id, sum(o.total_cost) as cost,
        max(greatest(o.start_time, coalesce(o.end_time, o.start_time))) - min(o.start_time) as took
    from observations o
    where o.project = $project and o.experiment_id in (select unnest($ids))
    group by o.experiment_id, o.trace_id
)
group by experiment_id
"""
_SCORES = """
select e.experiment_id, s.name, s.data_type, s.value, s.string_value
from (
    select distinct o.experiment_id, o.trace_id from observations o
    where o.project = $project and o.experiment_id in (select unnest($ids))
) e
join scores s on s.project = $project and s.trace_id = e.trace_id
where s.data_type in ('NUMERIC', 'BOOLEAN', 'CATEGORICAL')
"""


@dataclass(frozen=True, slots=True)
class ScoreFigures:
    """What the scores of one name in an experiment say together.

    `average` is of numbers, of booleans it is the share that is true (`is_rate`). `bars` are the heights of a
    histogram from 0 to 1 over `low` to `high`, `labels` the most frequent values with their counts.
    """

    name: str
    count: int
    average: float | None
    is_rate: bool
    low: float
    high: float
    bars: Sequence[float]
    labels: Sequence[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Figures:
    """An experiment in numbers. The cost is in USD, latencies of its items are in milliseconds."""

    cost: float
    median: float | None
    p95: float | None
    scores: Mapping[str, ScoreFigures]


def figures_of(run: Run, project: int, ids: Sequence[str]) -> dict[str, Figures]:
    """Return the figures of experiments by id; scores count on the traces of items, wherever in them."""
    values = {"project": project, "ids": list(ids)}
    scores: dict[str, dict[str, list[tuple[str, float | None, str | None]]]] = {}
    for experiment, name, kind, value, text in run(_SCORES, values):
        scores.setdefault(name, {}).setdefault(experiment, []).append((kind, value, text))
    by_experiment: dict[str, dict[str, ScoreFigures]] = {}
    for name, experiments in sorted(scores.items()):
        # The same axis for all of them: histograms are there to be compared.
        numbers = [value for some in experiments.values() for _, value, _ in some if value is not None]
        low, high = (min(numbers), max(numbers)) if numbers else (0.0, 0.0)
        for experiment, some in experiments.items():
            by_experiment.setdefault(experiment, {})[name] = _score_figures(name, some, low, high)
    found = {
        row[0]: Figures(row[2], row[3], row[4], by_experiment.get(row[0], {}))
        for row in run(_FIGURES, values)
    }
    return {one: found.get(one, Figures(0, None, None, {})) for one in ids}


def _score_figures(
    name: str, some: Sequence[tuple[str, float | None, str | None]], low: float, high: float
) -> ScoreFigures:
    numbers = [
        value for kind, value, _ in some if kind in _NUMBERS and value is not None and math.isfinite(value)
    ]
    is_rate = bool(numbers) and all(kind == "BOOLEAN" for kind, _, _ in some)
    labels = Counter(text for kind, _, text in some if kind == "CATEGORICAL" and text)
    if is_rate:
        labels = Counter("true" if one else "false" for one in numbers)
    bars = () if is_rate or not numbers else _histogram(numbers, low, high)
    average = fmean(numbers) if numbers else None
    return ScoreFigures(name, len(some), average, is_rate, low, high, bars, labels.most_common(_MOST_LABELS))


def _histogram(numbers: Sequence[float], low: float, high: float) -> list[float]:
    counts = [0] * BINS
    for one in numbers:
        counts[min(int((one - low) / (high - low) * BINS), BINS - 1) if high > low else 0] += 1
    return [round(count / max(counts), 3) for count in counts]


@dataclass(frozen=True, slots=True)
class ScoreBeside:
    """A score of an item, and how it differs from the baseline's, where both are numbers."""

    score: StoredScore
    change: float | None


@dataclass(frozen=True, slots=True)
class Cell:
    """What one experiment made of an item. `marked` is its output as a difference from the baseline's."""

    trace_id: str
    span_id: str
    duration: int | None
    level: str
    output: Content | None
    marked: Markup | None
    is_same: bool
    scores: Sequence[ScoreBeside]


@dataclass(frozen=True, slots=True)
class ComparedItem:
    """A dataset item with what each experiment made of it, ``None`` for those that did not run it."""

    id: str
    input: Content | None
    expected: Content | None
    cells: Sequence[Cell | None]
    change: float
    differs: bool


def compared(runs: Sequence[Sequence[ExperimentItem]], scores: ScoresByTrace) -> list[ComparedItem]:
    """Return the items of experiments side by side, the first one being the baseline.

    What differs most in its scores comes first, then what differs in its output, then the rest, each by id.
    """
    by_id = [{one.row["experiment_item_id"]: one for one in some} for some in runs]
    items = [
        _item(one, [some.get(one) for some in by_id], scores)
        for one in {key for some in by_id for key in some}
    ]
    return sorted(items, key=lambda one: (-one.change, not one.differs, one.id))


def _item(item_id: str, ran: Sequence[ExperimentItem | None], scores: ScoresByTrace) -> ComparedItem:
    baseline = ran[0]
    base_scores = _numbers(scores.get(baseline.place.trace_id, ())) if baseline else {}
    base_text = plain_text(baseline.body.output) if baseline else None
    cells = [
        _cell(one, scores, base_scores, base_text if place else None) if one else None
        for place, one in enumerate(ran)
    ]
    shown = next(one for one in ran if one)
    changes = [abs(beside.change) for cell in cells[1:] if cell for beside in cell.scores if beside.change]
    return ComparedItem(
        item_id,
        content_of(shown.body.input),
        content_of(shown.body.more.get("experiment", {}).get("item_expected_output")),
        cells,
        round(sum(changes), 9),
        any(cell is None or not cell.is_same for cell in cells),
    )


def _cell(
    item: ExperimentItem, scores: ScoresByTrace, base: Mapping[str, float], base_text: str | None
) -> Cell:
    row, place = item.row, item.place
    text = plain_text(item.body.output)
    own = scores.get(place.trace_id, ())
    numbers = _numbers(own)
    changes = (
        {} if base_text is None else {name: numbers[name] - base[name] for name in numbers if name in base}
    )
    is_same = base_text is None or text == base_text
    return Cell(
        place.trace_id,
        place.span_id,
        None if row["end_time"] is None else row["end_time"] - row["start_time"],
        row["level"],
        content_of(item.body.output),
        None if is_same or base_text is None else difference(base_text, text),
        is_same,
        [ScoreBeside(one, changes.get(one["name"])) for one in own],
    )


def _numbers(scores: Sequence[StoredScore]) -> dict[str, float]:
    """Return the averages of an item's scores that are numbers, by name."""
    found: dict[str, list[float]] = {}
    for one in scores:
        if one["data_type"] in _NUMBERS and one["value"] is not None and math.isfinite(one["value"]):
            found.setdefault(one["name"], []).append(one["value"])
    return {name: fmean(values) for name, values in found.items()}


def shares(figures: Sequence[Figures]) -> list[tuple[str, list[tuple[ScoreFigures | None, float | None]]]]:
    """Return each score's figures in all experiments, with the change of its average from the first one."""
    names = sorted({name for one in figures for name in one.scores})
    rows: list[tuple[str, list[tuple[ScoreFigures | None, float | None]]]] = []
    for name in names:
        base = _average(figures[0], name)
        cells: list[tuple[ScoreFigures | None, float | None]] = []
        for place, one in enumerate(figures):
            average = _average(one, name)
            change = average - base if place and average is not None and base is not None else None
            cells.append((one.scores.get(name), change))
        rows.append((name, cells))
    return rows


def _average(figures: Figures, name: str) -> float | None:
    return figures.scores[name].average if name in figures.scores else None
