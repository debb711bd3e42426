"""Read scores, what they are about, and what judgements cost, over the public API."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from scripts.api.client import Api, Row

from .compare import Comparison, Cost, compare
from .coverage import Coverage, coverage_of
from .pairs import NUMERIC, Pair, paired

_PAGE = 100
# What a filter may hold: the server limits the length of a URL.
_IDS = 50
_JUDGES = "langfuse-llm-as-a-judge"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to compare.

    Attributes:
        judge: the name of the judge's score; empty for all that people have scored, too.
        human: the name of people's score; empty where it is that of the judge.
        source: `ANNOTATION` or `API`: where the scores of people come from.
        threshold: see `compare`.
        most: pairs of one judge for which model and length are read.
    """

    since: datetime
    until: datetime
    judge: str = ""
    human: str = ""
    source: str = "ANNOTATION"
    threshold: float = 0.6
    most: int = 2000


def comparisons(api: Api, wanted: Wanted) -> list[Comparison]:
    """Return each judge of a project beside people, by name. Raises ApiError."""
    judged = _by_name(_scores(api, wanted, "EVAL", wanted.judge))
    scored = _by_name(_scores(api, wanted, wanted.source, wanted.human or wanted.judge))
    limits = _limits(api)
    found = []
    for judge in sorted(judged):
        human = wanted.human or judge
        people = scored.get(human, [])
        for one in paired(judge, human, judged[judge], people):
            cost = _cost(api, wanted, judge)
            with_outputs = replace(one, pairs=_with_outputs(api, one.pairs, wanted.most))
            found.append(compare(with_outputs, wanted.threshold, _limits_of(people, limits), cost))
    return found


def coverage(api: Api, wanted: Wanted, score: str, target: float) -> Coverage:
    """Return the mean of a score of any source beside what was promised. Raises ApiError."""
    values = [float(row["value"]) for row in _scores(api, wanted, "", score) if row["dataType"] == NUMERIC]
    return coverage_of(score, values, target)


def _scores(api: Api, wanted: Wanted, source: str, name: str) -> Iterator[Row]:
    query = {
        "fields": "core,details,subject",
        "limit": _PAGE,
        "fromTimestamp": wanted.since.isoformat(),
        "toTimestamp": wanted.until.isoformat(),
        "source": source or None,
        "name": name or None,
    }
    for page, _ in api.by_cursor("v3/scores", query):
        yield from page


def _by_name(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["name"], []).append(row)
    return found


def _limits(api: Api) -> dict[str, tuple[float, float]]:
    """Return least and greatest value of the numeric score configs that say both."""
    return {
        row["id"]: (float(row["minValue"]), float(row["maxValue"]))
        for row in api.pages("score-configs")
        if row["dataType"] == NUMERIC and None not in (row.get("minValue"), row.get("maxValue"))
    }


def _limits_of(rows: Iterable[Row], limits: Mapping[str, tuple[float, float]]) -> tuple[float, float] | None:
    known = [limits[row["configId"]] for row in rows if row.get("configId") in limits]
    return known[0] if known else None


def _with_outputs(api: Api, pairs: Sequence[Pair], most: int) -> list[Pair]:
    """Return the pairs with the model and the length of what was judged; of a trace, of its root."""
    some = [pair for pair in pairs if pair.place.trace_id][:most]
    traces: dict[str, list[Row]] = {}
    condition = {"column": "traceId", "type": "stringOptions", "operator": "any of"}
    for ids in _chunks({str(pair.place.trace_id) for pair in some}):
        for row in _observations(api, "core,basic,model", {**condition, "value": ids}):
            traces.setdefault(row["traceId"], []).append(row)
    targets = {pair.place: _target(pair, traces.get(str(pair.place.trace_id), [])) for pair in some}
    lengths: dict[tuple[str, str], int] = {}
    condition = {"column": "id", "type": "stringOptions", "operator": "any of"}
    for ids in _chunks({str(row["id"]) for row in targets.values() if row}):
        for row in _observations(api, "core,io", {**condition, "value": ids}):
            if row.get("output"):
                lengths[row["traceId"], row["id"]] = len(row["output"])

    def known(pair: Pair) -> Pair:
        row = targets.get(pair.place)
        if not row:
            return pair
        model = _model(row, traces[row["traceId"]])
        return replace(pair, model=model, length=lengths.get((row["traceId"], row["id"])))

    return [known(pair) for pair in pairs]


def _chunks(ids: Collection[str]) -> Iterator[list[str]]:
    ordered = sorted(ids)
    for begin in range(0, len(ordered), _IDS):
        yield ordered[begin : begin + _IDS]


def _observations(api: Api, fields: str, condition: Mapping[str, Any]) -> Iterator[Row]:
    query = {"fields": fields, "limit": 1000, "filter": json.dumps([condition], separators=(",", ":"))}
    for page, _ in api.by_cursor("v2/observations", query):
        yield from page


def _target(pair: Pair, rows: Sequence[Row]) -> Row | None:
    wanted = pair.place.observation_id
    for row in rows:
        if row["id"] == wanted if wanted else not row.get("parentObservationId"):
            return row
    return None


def _model(target: Row, rows: Sequence[Row]) -> str:
    """Return the model of an observation; of one that calls none, the only one of its trace."""
    own = _named_model(target)
    if own:
        return own
    models = {name for name in map(_named_model, rows) if name}
    return "" if not models else models.pop() if len(models) == 1 else "several models"


def _named_model(row: Row) -> str:
    # Servers answer with `model`; the official description says `providedModelName`.
    return str(row.get("model") or row.get("providedModelName") or "")


def _cost(api: Api, wanted: Wanted, judge: str) -> Cost | None:
    """Return what the traces of a judge cost; ``None`` where no trace has its name."""
    document = {
        "view": "observations",
        "metrics": [
            {"measure": "totalCost", "aggregation": "sum"},
            {"measure": "count", "aggregation": "count"},
        ],
        "filters": [
            {"column": "environment", "operator": "any of", "value": [_JUDGES], "type": "stringOptions"},
            {"column": "type", "operator": "any of", "value": ["GENERATION"], "type": "stringOptions"},
            {
                "column": "traceName",
                "operator": "any of",
                "value": [f"Execute evaluator: {judge}"],
                "type": "stringOptions",
            },
        ],
        "fromTimestamp": wanted.since.isoformat(),
        "toTimestamp": wanted.until.isoformat(),
    }
    rows = api.get("v2/metrics", query=json.dumps(document))["data"]
    count = int(rows[0].get("count_count") or 0) if rows else 0
    if count == 0:
        return None
    # A model without a price costs nothing there.
    return Cost(count, float(rows[0].get("sum_totalCost") or 0) or None)
