"""Experiments side by side: averages, pass rates and distributions; items that differ come first."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from .harness import RunningEngine
from .spans import send, span, span_id, trace_id
from .viewer_client import visitor

PROJECT = "/project/kosmos-support"
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def visit(engine: RunningEngine) -> Iterator[httpx.Client]:
    with visitor(engine.base_url) as client:
        yield client


def words(text: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def run(engine: RunningEngine, dataset: str, outputs: dict[str, str], scores: dict[str, list[Any]]) -> str:
    """Send an experiment that gave each item an output, and scores by name in the order of items."""
    experiment, prefix = f"exp-{span_id()}", "langfuse.experiment."
    start = 1_780_000_000_000
    for place, (item, output) in enumerate(outputs.items()):
        trace, root = trace_id(), span_id()
        attributes = {
            f"{prefix}id": experiment,
            f"{prefix}name": f"run {experiment}",
            f"{prefix}dataset.id": dataset,
            f"{prefix}item.id": item,
            f"{prefix}item.root_observation_id": root,
            f"{prefix}item.expected_output": json.dumps("On Wednesday."),
            "langfuse.observation.input": f"Where is {item}?",
            "langfuse.observation.output": output,
            "langfuse.observation.cost_details": json.dumps({"total": 0.5}),
            "langfuse.observation.type": "generation",
        }
        send(
            engine.client,
            span(trace, id=root, start=start, duration=100 * (place + 1), attributes=attributes),
        )
        for name, values in scores.items():
            score = {"name": name, "value": values[place], "traceId": trace}
            if isinstance(values[place], bool):
                score |= {"value": int(values[place]), "dataType": "BOOLEAN", "observationId": root}
            assert engine.client.post("/api/public/scores", json=score).status_code == 200
    return experiment


def pair(engine: RunningEngine) -> tuple[str, str]:
    dataset = f"ds-{span_id()}"
    base = run(
        engine,
        dataset,
        {"item-1": "It arrives on Monday.", "item-2": "It is lost.", "item-3": "It is there."},
        {"correct": [False, True, True], "tone": [0.5, 0.5, 0.8], "style": ["plain", "plain", "rich"]},
    )
    other = run(
        engine,
        dataset,
        {"item-1": "It arrives on Wednesday.", "item-2": "It is late.", "item-3": "It is there."},
        {"correct": [True, True, True], "tone": [0.5, 0.5, 0.8], "style": ["rich", "rich", "rich"]},
    )
    return base, other


def compare(visit: httpx.Client, **query: Any) -> str:
    answer = visit.get(f"{PROJECT}/experiments/results", params=query)
    assert answer.status_code == 200
    return answer.text


def figure(text: str, name: str) -> str:
    found = re.search(rf'<tr><th scope="row">(?:<bdi>)?{name}.*?</tr>', text, re.DOTALL)
    assert found is not None
    return words(found[0])


def items(text: str) -> list[str]:
    return re.findall(r'<p class="item"><code>([^<]+)</code>', text)


def test_scores_cost_and_latency_stand_beside_each_other_with_the_change(
    engine: RunningEngine, visit: httpx.Client
) -> None:
    base, other = pair(engine)
    text = compare(visit, baseline=base, c=other)
    assert figure(text, "correct") == "correct 67 % true 2, false 1 100 % +33 % true 3"
    assert figure(text, "tone").startswith("tone 0.6 0.5 to 0.8 0.6")
    assert figure(text, "style") == "style plain 2, rich 1 plain 2, rich 1 rich 3 rich 3"
    assert figure(text, "Latency") == "Latency p50 / p95 200 ms / 290 ms 200 ms / 290 ms"
    assert figure(text, "Cost") == "Cost $1.50 $1.50"
    assert text.count('<svg class="spread"') == 2
    listed = words(visit.get(f"{PROJECT}/experiments").text)
    assert "67 %" in listed


def test_items_that_differ_come_first_and_their_outputs_are_compared_word_by_word(
    engine: RunningEngine, visit: httpx.Client
) -> None:
    base, other = pair(engine)
    text = compare(visit, baseline=base, c=other)
    assert items(text) == ["item-1", "item-2", "item-3"]
    assert "It arrives on <del>Monday</del><ins>Wednesday</ins>." in text
    assert "It is <del>lost</del><ins>late</ins>." in text
    assert "The same output" in text
    assert "2 differ" in words(text)
    assert items(compare(visit, baseline=base, c=other, show="differences")) == ["item-1", "item-2"]


def test_the_first_of_those_that_are_checked_is_the_baseline(
    engine: RunningEngine, visit: httpx.Client
) -> None:
    base, other = pair(engine)
    text = compare(visit, c=[base, other])
    assert "<del>Monday</del><ins>Wednesday</ins>" in text
    swapped = html.unescape(re.findall(r'<a href="([^"]+)">as baseline</a>', text)[0])
    assert "<del>Wednesday</del><ins>Monday</ins>" in visit.get(swapped).text
    alone = html.unescape(re.findall(r'<a href="([^"]+)">remove</a>', text)[-1])
    assert "<del>" not in visit.get(alone).text


def test_an_item_that_one_experiment_has_not_run_is_said_to_be_missing(
    engine: RunningEngine, visit: httpx.Client
) -> None:
    dataset = f"ds-{span_id()}"
    base = run(engine, dataset, {"a": "x", "b": "y"}, {})
    other = run(engine, dataset, {"a": "x", "c": HOSTILE}, {})
    text = compare(visit, baseline=base, c=other)
    assert items(text) == ["b", "c", "a"]
    assert text.count("Not run") == 2
    assert HOSTILE not in text
    assert visit.get(f"{PROJECT}/experiments/results?baseline={base}&c=nope").status_code == 404


def test_experiments_of_the_same_dataset_are_offered_for_comparison(
    engine: RunningEngine, visit: httpx.Client
) -> None:
    base, other = pair(engine)
    text = compare(visit, baseline=base)
    assert f'<option value="{other}">' in text
    assert f'<option value="{other}">' not in compare(visit, baseline=base, c=other)
