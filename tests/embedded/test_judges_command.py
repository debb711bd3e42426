"""`judges`: a judge of the engine beside people who scored the same observations."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.waiting import wait_for

from .exporting import IN_ROOT, write_keys
from .harness import REPOSITORY, Keys, RunningEngine
from .judging import ALLOWED, accepted, connect, evaluator, rule, running_model, scores
from .spans import send, span, span_id, trace_id

ITEMS = 48
WORDS = ("Athens", "Sparta", "Delphi", "Corinth")


@dataclass
class Judged:
    """A project whose observations a judge and people have scored, with what they said as columns."""

    engine: RunningEngine
    keys: Keys
    root: Path
    judge: np.ndarray[Any, np.dtype[np.float64]]
    human: np.ndarray[Any, np.dtype[np.float64]]
    models: list[str]
    lengths: list[int]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                *(sys.executable, "-c", IN_ROOT, str(self.root), "judges"),
                *("--base-url", self.engine.base_url, *arguments),
            ],
            cwd=REPOSITORY,
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judged]:
    """Answers of two models, judged by the share of their words that are right, and scored by people.

    People give half of the points for a long answer of which the judge takes every word.
    """
    root = tmp_path_factory.mktemp("judges")
    with running_model() as model:
        engine = RunningEngine(root / "data", ALLOWED).start()
        try:
            yield prepared(engine, model.base_url, root)
        finally:
            assert engine.stop() == 0, engine.log()


def prepared(engine: RunningEngine, model_url: str, root: Path) -> Judged:
    keys = engine.provision("judged")
    write_keys(root / ".stack" / "credentials", [keys])
    with engine.client_for(keys) as client:
        connect(client, model_url)
        made = evaluator(client, "accuracy")
        rule(
            client,
            [made["id"]],
            filter=[{"type": "stringOptions", "column": "name", "operator": "any of", "value": ["answer"]}],
        )
        config = {"name": "accuracy", "dataType": "NUMERIC", "minValue": 0, "maxValue": 1}
        config_id = accepted(client.post("/api/public/score-configs", json=config))["id"]
        human, models, lengths, places = [], [], [], []
        for number in range(ITEMS):
            words = WORDS[: number % 4 + 1]
            output = " ".join(words)
            models.append(("gpt-4o", "gpt-4o-mini")[number // 4 % 2])
            lengths.append(len(output))
            trace, one = trace_id(), span_id()
            places.append((trace, one))
            answer = {
                "langfuse.observation.type": "generation",
                "langfuse.observation.model.name": models[-1],
                "langfuse.observation.output": output,
                "langfuse.observation.metadata.expected": "Athens",
            }
            root_span = span_id()
            send(
                client,
                span(trace, "question", id=root_span),
                span(trace, "answer", id=one, parent=root_span, attributes=answer),
            )
            # The judge gives 1 / words.
            human.append(1 / len(words) if number % 8 else 0.5)
            body = {
                "name": "accuracy",
                "value": human[-1],
                "dataType": "NUMERIC",
                "configId": config_id,
                "source": "ANNOTATION",
                # Every second one is scored as a whole trace.
                **({"traceId": trace} if number % 2 else {"traceId": trace, "observationId": one}),
            }
            accepted(client.post("/api/public/scores", json=body))
            coverage = {"name": "coverage", "value": number % 6 > 0, "dataType": "NUMERIC", "traceId": trace}
            accepted(client.post("/api/public/scores", json={**coverage, "value": float(number % 6 > 0)}))

        def all_judged() -> dict[str, float]:
            found = scores(client, source="EVAL")
            return {one["subject"]["id"]: one["value"] for one in found} if len(found) == ITEMS else {}

        said = wait_for(all_judged, "a judgement of each answer")
    return Judged(
        engine,
        keys,
        root,
        np.array([said[one] for _, one in places]),
        np.array(human),
        models,
        lengths,
    )


def test_the_figures_are_those_of_numpy(judged: Judged) -> None:
    done = judged.run("--json")
    assert done.returncode == 0, done.stdout + done.stderr
    [project] = json.loads(done.stdout)
    [one] = project["judges"]
    assert (one["judge"], one["data_type"], one["items"], one["ambiguous"]) == (
        "accuracy",
        "NUMERIC",
        ITEMS,
        0,
    )
    difference = judged.judge - judged.human
    expected = {
        "correlation": np.corrcoef(judged.judge, judged.human)[0, 1],
        "error": np.abs(difference).mean(),
        "bias": difference.mean(),
        "length_trend": np.corrcoef(np.log1p(judged.lengths), difference)[0, 1],
    }
    assert {name: one[name]["value"] for name in expected} == {
        name: pytest.approx(float(value)) for name, value in expected.items()
    }
    assert one["bias_share"] == pytest.approx(float(difference.mean()))
    by_model = {group["name"]: group["bias"] for group in one["groups"] if group["kind"] == "model"}
    assert {name: (bias["value"], bias["n"]) for name, bias in by_model.items()} == {
        name: (
            pytest.approx(float(difference[np.array(judged.models) == name].mean())),
            judged.models.count(name),
        )
        for name in ("gpt-4o", "gpt-4o-mini")
    }
    assert one["cost"]["judgements"] == ITEMS
    assert one["cost"]["usd"] > 0
    assert one["verdict"]["trust"] == "trusted"


def test_people_read_a_table_and_a_sentence(judged: Judged) -> None:
    done = judged.run()
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == f"Project {judged.keys.project_id}, last 90 days"
    assert lines[2] == "judge accuracy (numeric)"
    [trust] = [line for line in lines if line.startswith("To be trusted: r is ")]
    assert "at least 0.6." in trust


def test_a_higher_threshold_is_a_failure_that_says_so(judged: Judged) -> None:
    done = judged.run("--threshold", "0.99")
    assert done.returncode == 1
    assert "Not to be trusted: r is " in done.stdout
    assert "below 0.99." in done.stdout


def test_scores_of_people_may_come_from_the_api_and_have_another_name(judged: Judged) -> None:
    done = judged.run("--source", "api", "--judge", "accuracy", "--human", "coverage", "--json")
    assert done.returncode == 1, done.stdout + done.stderr
    [[one]] = [project["judges"] for project in json.loads(done.stdout)]
    coverage = np.array([float(number % 6 > 0) for number in range(ITEMS)])
    assert one["correlation"]["value"] == pytest.approx(float(np.corrcoef(judged.judge, coverage)[0, 1]))


def test_the_coverage_of_predictions_is_compared_with_what_was_promised(judged: Judged) -> None:
    done = judged.run("--coverage", "coverage", "--target", "0.8")
    assert done.returncode == 0, done.stdout + done.stderr
    values = np.array([float(number % 6 > 0) for number in range(ITEMS)])
    reach = 1.959964 * values.std(ddof=1) / ITEMS**0.5
    low, high = values.mean() - reach, values.mean() + reach
    assert f"{values.mean():.3f}" in done.stdout
    assert f"coverage is {low:.3f} to {high:.3f}, the promised 0.8 is inside." in done.stdout
    assert judged.run("--coverage", "coverage", "--target", "0.99").returncode == 1


def test_nothing_to_compare_is_not_established(judged: Judged) -> None:
    done = judged.run("--source", "api")
    assert done.returncode == 3
    assert "No item has a score of a judge (EVAL) and one of people (API)." in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--source", "eval"), "SOURCE is 'eval'"),
        (("--threshold", "2"), "THRESHOLD is 2"),
        (("--coverage", "c", "--target", "90"), "TARGET is 90"),
        (("--days", "0"), "DAYS is 0"),
        (("--human", "quality"), "HUMAN is set without JUDGE"),
    ],
)
def test_wrong_use_is_answered_with_the_fix(judged: Judged, arguments: tuple[str, ...], said: str) -> None:
    done = judged.run(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "fix:" in done.stderr


def test_a_server_that_is_away_is_said(judged: Judged) -> None:
    with httpx.Client() as probe:
        assert probe.get(f"{judged.engine.base_url}/api/public/health").is_success
    done = judged.run("--base-url", "http://127.0.0.1:9")
    assert done.returncode == 1
    assert "127.0.0.1:9" in done.stderr
    assert "Traceback" not in done.stderr
