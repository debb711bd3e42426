"""Offline evaluation: two variants answer the same dataset, rules and a model judge them, a table compares.

`--collect` makes a dataset of production traces: what readers asked `rag.py`, with the answers they liked.
Otherwise every variant is one experiment over a dataset:

    experiment-item-run          the answer of one item
      answer         generation  the variant's model call
      judge          generation  model as judge; linked to the managed prompt
    scores of each answer: contains-answer (rule), factual-accuracy (judge)
    scores of the experiment: mean-factual-accuracy, pass-rate (what rule and judge let pass)

The variants differ in what the model gets to see: `grounded` the handbook, `from-memory` nothing.

    set -a; . .stack/credentials/<project>.env; set +a
    export OPENAI_BASE_URL=http://127.0.0.1:8080/v1 OPENAI_API_KEY=none   # what `make fake-llm` serves
    .venv/bin/python examples/evaluation.py --dataset golden/rag
    .venv/bin/python examples/evaluation.py --collect production/rag
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from client import command_line, conclude, connect, packages, require_models, stop
from langfuse import Evaluation, Langfuse
from langfuse.api import NotFoundError

with packages("openai"):
    from langfuse.openai import OpenAI

HANDBOOK = Path(__file__).with_name("handbook.md")
DESCRIPTIONS = {"grounded": "The model sees the handbook", "from-memory": "The model sees the question only"}
VARIANTS = tuple(DESCRIPTIONS)
MODEL = "gpt-4o-mini"
PASS_FROM = 0.5  # factual-accuracy from which an answer passes
PARALLEL = 4
DEADLINE_S = 60
VERDICT = {
    "type": "json_schema",
    "json_schema": {
        "name": "verdict",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"score": {"type": "number"}, "reason": {"type": "string"}},
            "required": ["score", "reason"],
            "additionalProperties": False,
        },
    },
}


def collect(langfuse: Langfuse, name: str, days: int) -> int:
    """Make or complete a dataset of questions whose answers readers liked; return how many items it took.

    The newest hundred are looked at. An item has the id of its trace, so that a second run changes items
    instead of doubling them.
    """
    since = datetime.now(UTC) - timedelta(days=days)
    liked = {
        score.subject.id
        for score in langfuse.api.scores.get_many(
            name="user-feedback",
            data_type="NUMERIC",
            value_min=1,
            from_timestamp=since,
            fields="subject",
            limit=100,
        ).data
        if score.subject and score.subject.kind == "trace"
    }
    langfuse.create_dataset(name=name, description="Questions of readers who liked the answer")
    rows = langfuse.api.observations.get_many(
        name="rag_query", from_start_time=since, fields="core,basic,io", limit=100
    ).data
    taken = [row for row in rows if row.trace_id in liked]
    for row in taken:
        langfuse.create_dataset_item(
            dataset_name=name,
            # Ids are unique in a project: the same trace may be in several datasets, and once in each.
            id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"{name}#{row.trace_id}")),
            input={"question": row.input},
            expected_output=row.output,
            source_trace_id=row.trace_id,
            source_observation_id=row.id,
        )
    return len(taken)


class Evaluator:
    """Answers questions with a variant, and judges answers."""

    def __init__(self, openai: OpenAI, judge: Any) -> None:
        """`judge`: the managed prompt of the judge."""
        self.openai = openai
        self.judge = judge
        self.context = "\n".join(re.findall(r"^[A-Z].*\.$", HANDBOOK.read_text("utf-8"), re.MULTILINE))

    def answer_with(self, variant: str) -> Callable[..., str]:
        """Return the task of an experiment: item in, answer out."""
        sees = f"Context:\n{self.context}" if variant == "grounded" else "Answer from memory."

        def answer(*, item: Any, **_: Any) -> str:
            reply = self.openai.chat.completions.create(
                name="answer",
                model=MODEL,
                messages=[
                    {"role": "system", "content": f"You answer customers of Acme Records.\n\n{sees}"},
                    {"role": "user", "content": item.input["question"]},
                ],
            )
            return reply.choices[0].message.content or ""

        return answer

    def judge_facts(self, *, output: str, expected_output: str, **item: Any) -> Evaluation:
        """Let a model say which share of the answer the reference supports."""
        question = self.judge.compile(
            question=item["input"]["question"], reference=expected_output, answer=output
        )
        reply = self.openai.chat.completions.create(
            name="judge",
            model=self.judge.config["model"],
            temperature=self.judge.config["temperature"],
            messages=[{"role": "user", "content": question}],
            response_format=VERDICT,
            langfuse_prompt=self.judge,
        )
        verdict = json.loads(reply.choices[0].message.content or "{}")
        return Evaluation(name="factual-accuracy", value=verdict["score"], comment=verdict["reason"])


def contains_answer(*, output: str, expected_output: str, **_: Any) -> Evaluation:
    """Rule: every number and every word of five letters or more that is expected is in the answer."""
    expected = set(re.findall(r"\d+|[a-z]{5,}", expected_output.lower()))
    found = expected <= set(re.findall(r"\d+|[a-z]{5,}", output.lower()))
    return Evaluation(name="contains-answer", value=found, data_type="BOOLEAN")


def values_of(item_results: list[Any], name: str) -> list[float]:
    """Return the values of one score over all items."""
    return [
        float(evaluation.value)
        for result in item_results
        for evaluation in result.evaluations
        if evaluation.name == name
    ]


def mean_accuracy(*, item_results: list[Any], **_: Any) -> Evaluation:
    """Score of the experiment: the average that the judge gave."""
    value = statistics.fmean(values_of(item_results, "factual-accuracy"))
    return Evaluation(name="mean-factual-accuracy", value=value)


def pass_rate(*, item_results: list[Any], **_: Any) -> Evaluation:
    """Score of the experiment: the share of answers that both the rule and the judge let pass."""
    judged = values_of(item_results, "factual-accuracy")
    ruled = values_of(item_results, "contains-answer")
    passed = [bool(rule) and accuracy >= PASS_FROM for rule, accuracy in zip(ruled, judged, strict=True)]
    return Evaluation(name="pass-rate", value=statistics.fmean(passed))


def compare(langfuse: Langfuse, runs: list[str], since: datetime) -> list[dict[str, Any]]:
    """Return items and scores of each experiment as Langfuse has them, once all are there."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        found = langfuse.api.experiments.list(
            from_start_time=since, name=",".join(runs), fields="core,scores"
        ).data
        if len(found) == len(runs) and all(len(one.scores or ()) >= 2 for one in found):
            break
        if time.monotonic() > deadline:
            stop(1, f"The experiments {', '.join(runs)} did not become readable in {DEADLINE_S} seconds")
        time.sleep(0.1)
    by_name = {one.name: one for one in found}
    return [
        {
            "run": run,
            "id": by_name[run].id,
            "items": by_name[run].item_count,
            "scores": {score.name: score.value for score in by_name[run].scores or ()},
        }
        for run in runs
    ]


def run(langfuse: Langfuse, options: argparse.Namespace) -> dict[str, Any]:
    """Run one experiment a variant over the dataset; return the comparison."""
    since = datetime.now(UTC) - timedelta(minutes=1)
    try:
        dataset = langfuse.get_dataset(options.dataset)
        judge = langfuse.get_prompt(options.judge, type="text")
    except NotFoundError as error:
        stop(
            1,
            f"{error.body['message']}: dataset {options.dataset} and prompt {options.judge} come with "
            "`make bootstrap`",
        )
    evaluator = Evaluator(OpenAI(), judge)
    mark = options.run or uuid.uuid4().hex[:8]
    runs = []
    for variant in VARIANTS:
        result = dataset.run_experiment(
            name=variant,
            run_name=f"{variant}-{mark}",
            description=DESCRIPTIONS[variant],
            task=evaluator.answer_with(variant),
            evaluators=[contains_answer, evaluator.judge_facts],
            run_evaluators=[mean_accuracy, pass_rate],
            max_concurrency=PARALLEL,
            metadata={"variant": variant},
        )
        runs.append(result.run_name)
    langfuse.flush()
    return {"dataset": options.dataset, "experiments": compare(langfuse, runs, since)}


def show(_langfuse: Langfuse, result: dict[str, Any]) -> None:
    """Print the result for a person."""
    if "collected" in result:
        print(f"{result['collected']} items in the dataset {result['dataset']}")
        return
    names = sorted({name for one in result["experiments"] for name in one["scores"]})
    print(f"{'experiment':<24}{'items':>6}" + "".join(f"{name:>24}" for name in names))
    for one in result["experiments"]:
        values = "".join(f"{one['scores'].get(name, float('nan')):>24.2f}" for name in names)
        print(f"{one['run']:<24}{one['items']:>6}{values}")


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = command_line(__doc__)
    parser.add_argument("--dataset", default="golden/rag", help="what to answer (default golden/rag)")
    parser.add_argument("--judge", default="judges/accuracy", help="prompt of the judge")
    parser.add_argument("--run", help="end of the experiments' names (default: a random one)")
    parser.add_argument("--collect", metavar="DATASET", help="evaluate nothing: make a dataset of traces")
    parser.add_argument("--days", type=int, default=7, help="how old these traces may be (default 7)")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run the example; exit code 0 when done, 1 when the server refuses, 2 on wrong use."""
    options = parse(arguments)
    langfuse = connect()
    if options.collect:
        collected = collect(langfuse, options.collect, options.days)
        result: dict[str, Any] = {"dataset": options.collect, "collected": collected}
    else:
        require_models()
        result = run(langfuse, options)
    return conclude(langfuse, result, show, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
