"""Pairs, comparisons and verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from scripts.watch.judges.compare import Comparison, Cost, Trust, compare
from scripts.watch.judges.coverage import coverage_of
from scripts.watch.judges.pairs import BOOLEAN, CATEGORICAL, NUMERIC, Pair, Paired, Place, Value, paired
from scripts.watch.judges.show import as_json, lines_of, lines_of_coverage


def score(
    value: Value, data_type: str, trace: str, observation: str = "", session: str = ""
) -> dict[str, Any]:
    subject: dict[str, str] = {"kind": "trace", "id": trace}
    if observation:
        subject = {"kind": "observation", "id": observation, "traceId": trace}
    if session:
        subject = {"kind": "session", "id": session}
    return {"value": value, "dataType": data_type, "subject": subject}


def both(judged: Sequence[dict[str, Any]], scored: Sequence[dict[str, Any]]) -> Paired:
    [found] = paired("judge", "people", judged, scored)
    return found


def test_scores_of_the_same_thing_are_a_pair() -> None:
    judged = [
        score(0.5, NUMERIC, "t1", "o1"),
        score(0.7, NUMERIC, "t2"),
        score(0.9, NUMERIC, "", session="s1"),
        score(0.1, NUMERIC, "t3", "o3"),
    ]
    scored = [
        score(1.0, NUMERIC, "t1", "o1"),
        score(0.0, NUMERIC, "t2"),
        score(0.8, NUMERIC, "", session="s1"),
        score(0.2, NUMERIC, "t3", "other"),
    ]
    found = both(judged, scored)
    assert [(pair.judge, pair.human) for pair in found.pairs] == [(0.5, 1.0), (0.7, 0.0), (0.9, 0.8)]
    assert (found.judged, found.scored, found.ambiguous) == (4, 4, 0)


def test_a_score_of_a_trace_counts_for_the_only_observation_that_was_judged() -> None:
    judged = [score("a", CATEGORICAL, "t1", "o1"), *(score("a", CATEGORICAL, "t2", one) for one in "xy")]
    scored = [score("b", CATEGORICAL, "t1"), score("b", CATEGORICAL, "t2")]
    found = both(judged, scored)
    assert [(pair.place, pair.human) for pair in found.pairs] == [(Place("t1", "o1"), "b")]
    assert found.ambiguous == 1
    # Where people scored the observation itself, that is what counts.
    found = both(judged[:1], [*scored[:1], score("a", CATEGORICAL, "t1", "o1")])
    assert [pair.human for pair in found.pairs] == ["a"]


def test_several_people_count_as_their_mean_or_as_most_of_them() -> None:
    numeric = both([score(1.0, NUMERIC, "t")], [score(value, NUMERIC, "t") for value in (0.0, 0.5)])
    assert [pair.human for pair in numeric.pairs] == [0.25]
    judged = [score(True, BOOLEAN, "t")]
    most = both(judged, [score(value, BOOLEAN, "t") for value in (True, True, False)])
    assert [pair.human for pair in most.pairs] == [True]
    tie = both(judged, [score(value, BOOLEAN, "t") for value in (True, False)])
    assert (list(tie.pairs), tie.ambiguous) == ([], 1)
    # A judge that may choose several categories says nothing that could be compared.
    several = [score(label, CATEGORICAL, "t") for label in "ab"]
    assert (list(both(several, several[:1]).pairs), both(several, several[:1]).ambiguous) == ([], 1)


def test_scores_of_different_types_are_not_compared() -> None:
    assert paired("judge", "people", [score(1.0, NUMERIC, "t")], [score(True, BOOLEAN, "t")]) == []
    experiment = {**score(1.0, NUMERIC, "t"), "subject": {"kind": "experiment", "id": "e"}}
    assert paired("judge", "people", [experiment], [experiment]) == []


def compared(
    data_type: str,
    said: Sequence[Value],
    human: Sequence[Value],
    *,
    models: Sequence[str] = (),
    lengths: Sequence[int] = (),
    limits: tuple[float, float] | None = None,
    cost: Cost | None = None,
) -> Comparison:
    pairs = [
        Pair(
            Place(f"t{number}"),
            one,
            two,
            models[number] if models else "",
            lengths[number] if lengths else None,
        )
        for number, (one, two) in enumerate(zip(said, human, strict=True))
    ]
    whole = Paired("judge", "people", data_type, pairs, len(pairs), len(pairs), 0)
    return compare(whole, 0.6, limits, cost)


def numbers(n: int, noise: float, seed: int = 3) -> tuple[list[float], list[float]]:
    """Return what a judge and what people say, from 0 to 1."""
    random = np.random.default_rng(seed)
    human = random.random(n)
    said = np.clip(human + random.normal(0, noise, n), 0, 1)
    return [float(one) for one in said], [float(one) for one in human]


def test_a_judge_that_agrees_is_to_be_trusted() -> None:
    said, human = numbers(60, 0.05)
    found = compared(NUMERIC, said, human, limits=(0, 1))
    assert found.verdict.trust is Trust.TRUSTED
    assert found.verdict.text.startswith("To be trusted: r is 0.9")
    assert found.verdict.text.endswith("at least 0.6.")
    assert found.error is not None
    assert found.error.value == pytest.approx(float(np.mean(np.abs(np.array(said) - np.array(human)))))
    assert found.bias is not None
    assert found.bias.value == pytest.approx(float(np.mean(np.array(said) - np.array(human))))


def test_a_judge_that_guesses_is_not_to_be_trusted() -> None:
    random = np.random.default_rng(1)
    said, human = ([str(one) for one in random.choice(["a", "b"], 100)] for _ in range(2))
    found = compared(CATEGORICAL, said, human)
    assert found.verdict.trust is Trust.NOT_TRUSTED
    assert found.verdict.text.endswith("below 0.6.")
    assert sum(count for *_, count in found.confusions) == sum(
        one != two for one, two in zip(said, human, strict=True)
    )


def test_a_judge_that_ranks_well_and_is_too_kind_is_not_to_be_trusted() -> None:
    said, human = numbers(60, 0.02)
    kind = [min(one * 0.5 + 0.5, 1) for one in said]
    found = compared(NUMERIC, kind, human, limits=(0, 1))
    assert found.correlation is not None
    assert found.correlation.low > 0.9
    assert found.verdict.trust is Trust.NOT_TRUSTED
    assert "of the range above that of people, more than 10%" in found.verdict.text
    assert found.bias_share == pytest.approx(float(np.mean(np.array(kind) - np.array(human))))


@pytest.mark.parametrize(
    ("data_type", "said", "human", "text"),
    [
        (BOOLEAN, [True] * 29, [True] * 29, "both scored 29 items, 30 are the least"),
        (BOOLEAN, [True] * 40, [True] * 40, "always says the same, so kappa is not defined"),
        (NUMERIC, [0.5] * 40, [one / 40 for one in range(40)], "always says the same, so r is not defined"),
        (BOOLEAN, [True, False] * 20, [True, False] * 16 + [False, True] * 4, "0.6 is between"),
        (NUMERIC, [], [], "both scored 0 items"),
    ],
)
def test_what_too_little_says_is_not_established(
    data_type: str, said: list[Value], human: list[Value], text: str
) -> None:
    found = compared(data_type, said, human)
    assert found.verdict.trust is Trust.OPEN
    assert text in found.verdict.text


def test_a_judge_that_likes_one_model_and_long_outputs_is_told_so() -> None:
    said, human = numbers(120, 0.02)
    models = ["gpt-4o", "acme-7b", "acme-70b"] * 40
    liked = [min(one + 0.15 * (model == "gpt-4o"), 1) for one, model in zip(said, models, strict=True)]
    found = compared(NUMERIC, liked, human, models=models, limits=(0, 1))
    assert found.verdict.trust is Trust.TRUSTED
    marked = {one.name for one in found.groups if one.against_rest and one.against_rest.excludes_zero}
    assert "gpt-4o" in marked
    assert "It differs by" in found.verdict.text
    assert "model gpt-4o" in found.verdict.text
    [own] = [one for one in found.groups if one.name == "gpt-4o"]
    difference = (np.array(liked) - np.array(human))[np.array(models) == "gpt-4o"]
    assert own.bias.value == pytest.approx(float(np.mean(difference)))
    lengths = [100 + 20 * number for number in range(120)]
    longer = [min(one + 0.1 * length / 2500, 1) for one, length in zip(said, lengths, strict=True)]
    found = compared(NUMERIC, longer, human, lengths=lengths, limits=(0, 1))
    assert found.length_trend is not None
    expected = np.corrcoef(np.log1p(lengths), np.array(longer) - np.array(human))[0, 1]
    assert found.length_trend.value == pytest.approx(float(expected))
    assert [one.name for one in found.groups] == ["under 900", "900 to 1,699", "1,700 and more"]
    assert "length" in found.verdict.text


def test_a_judge_that_is_the_same_everywhere_is_not_marked() -> None:
    said, human = numbers(120, 0.05)
    found = compared(NUMERIC, said, human, models=["gpt-4o", "acme-7b"] * 60, lengths=[10, 500, 90] * 40)
    assert len(found.groups) == 5
    assert not [one for one in found.groups if one.against_rest and one.against_rest.excludes_zero]
    assert found.verdict.text.endswith("at least 0.6.")


def test_a_table_has_80_columns_and_ends_with_the_verdict() -> None:
    said, human = numbers(120, 0.02)
    models = [f"a model with a name that is far too long for a table {n % 3}" for n in range(120)]
    found = compared(
        NUMERIC, said, human, models=models, lengths=[10**6 + n for n in range(120)], cost=Cost(120, 0.42)
    )
    lines = lines_of(found)
    assert max(len(line) for line in lines) <= 80, lines
    assert "  cost of 120 judgements: 0.42 USD, 0.0035 each" in lines
    assert " ".join(lines).endswith(found.verdict.text)
    labels = [f"a label that is far too long for a table {n % 2}" for n in range(120)]
    lines = lines_of(compared(CATEGORICAL, labels, labels[1:] + labels[:1]))
    assert max(len(line) for line in lines) <= 80, lines


def test_programs_get_what_people_get() -> None:
    said, human = numbers(60, 0.05)
    found = compared(NUMERIC, said, human, cost=Cost(60, None))
    [one] = as_json("kosmos", [found], None)["judges"]
    assert found.correlation is not None
    assert one["correlation"]["low"] == found.correlation.low
    assert (one["verdict"]["trust"], one["items"], one["cost"]) == (
        "trusted",
        60,
        {"judgements": 60, "usd": None},
    )
    assert (one["threshold"], one["most_bias"]) == (0.6, 0.1)


@pytest.mark.parametrize(
    ("values", "target", "trust", "text"),
    [
        ([1.0] * 45 + [0.0] * 5, 0.9, Trust.TRUSTED, "the promised 0.9 is inside"),
        ([1.0] * 30 + [0.0] * 20, 0.9, Trust.NOT_TRUSTED, "below the promised 0.9"),
        ([1.0] * 50 + [0.9] * 50, 0.9, Trust.TRUSTED, "too cautious"),
        ([1.0] * 29, 0.9, Trust.OPEN, "29 scores, 30 are the least"),
    ],
)
def test_coverage_is_compared_with_what_was_promised(
    values: list[float], target: float, trust: Trust, text: str
) -> None:
    found = coverage_of("conformal_coverage", values, target)
    assert found.verdict.trust is trust
    assert text in found.verdict.text
    assert " ".join(lines_of_coverage(found)).endswith(found.verdict.text)
