"""From scores to pairs: what a judge and what people say of the same thing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

NUMERIC, BOOLEAN, CATEGORICAL = "NUMERIC", "BOOLEAN", "CATEGORICAL"
Value = float | bool | str
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """What a score is about: a trace, an observation of one, or a session."""

    trace_id: str | None
    observation_id: str | None = None
    session_id: str | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """One thing that a judge and people scored.

    Attributes:
        place: what the judge scored.
        model: the model that made the output; empty where that is not known.
        length: of the output, in characters; ``None`` where there is none.
    """

    place: Place
    judge: Value
    human: Value
    model: str = ""
    length: int | None = None


@dataclass(frozen=True, slots=True)
class Paired:
    """All pairs of one judge, and what was left out.

    Attributes:
        judged, scored: how many things the judge and people scored.
        ambiguous: things that have several scores of the judge, or people of whom as many say one as another.
    """

    judge: str
    human: str
    data_type: str
    pairs: Sequence[Pair]
    judged: int
    scored: int
    ambiguous: int


def place_of(row: Row) -> Place | None:
    """Return what a score of `GET v3/scores` is about; ``None`` for one of an experiment."""
    subject = row["subject"]
    if subject["kind"] == "trace":
        return Place(subject["id"])
    if subject["kind"] == "observation":
        return Place(subject["traceId"], subject["id"])
    return Place(None, None, subject["id"]) if subject["kind"] == "session" else None


def paired(judge: str, human: str, judged: Iterable[Row], scored: Iterable[Row]) -> list[Paired]:
    """Return the pairs of a judge's scores with those of people, one result for each data type of both.

    A score of a whole trace by people counts for the only observation in it that the judge has scored.
    """
    by_type = _by_type(judged), _by_type(scored)
    found = []
    for data_type in (NUMERIC, BOOLEAN, CATEGORICAL):
        judges, people = (each.get(data_type, {}) for each in by_type)
        if judges and people:
            found.append(_paired(judge, human, data_type, judges, people))
    return found


def _by_type(rows: Iterable[Row]) -> dict[str, dict[Place, list[Value]]]:
    found: dict[str, dict[Place, list[Value]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        place = place_of(row)
        if place is not None:
            found[row["dataType"]][place].append(row["value"])
    return found


def _paired(
    judge: str,
    human: str,
    data_type: str,
    judges: Mapping[Place, Sequence[Value]],
    people: Mapping[Place, Sequence[Value]],
) -> Paired:
    in_trace: dict[str | None, list[Place]] = defaultdict(list)
    for place in judges:
        in_trace[place.trace_id].append(place)
    pairs, ambiguous = [], 0
    for place, values in people.items():
        at = place
        if place not in judges and place.trace_id and place.observation_id is None:
            others = in_trace[place.trace_id]
            if len(others) > 1:
                ambiguous += 1
            if len(others) != 1 or others[0] in people:
                continue
            at = others[0]
        if at not in judges:
            continue
        said = _of_people(values, data_type)
        if said is None or len(judges[at]) > 1:
            ambiguous += 1
            continue
        pairs.append(Pair(at, judges[at][0], said))
    return Paired(judge, human, data_type, pairs, len(judges), len(people), ambiguous)


def _of_people(values: Sequence[Value], data_type: str) -> Value | None:
    """Return what several people say together: the mean, or what most of them say."""
    if data_type == NUMERIC:
        return fmean(float(value) for value in values)
    ranked = Counter(values).most_common(2)
    return None if len(ranked) == 2 and ranked[0][1] == ranked[1][1] else ranked[0][0]
