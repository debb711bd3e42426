"""The examples that call models: agent routing, retrieval and evaluation, with a stand-in for the models."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from smoke_tests.helpers.examples import (
    EXAMPLES,
    fake_llm,
    models_python,
    result_of,
    run,
    why_without_models,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from langfuse import Langfuse

    from smoke_tests.helpers.server import Row, Server
    from smoke_tests.helpers.target import Target

if without := why_without_models():
    pytest.skip(without, allow_module_level=True)

pytestmark = [
    pytest.mark.skipif(not EXAMPLES.is_dir(), reason=f"the examples are not at {EXAMPLES}"),
    pytest.mark.usefixtures("needs_scores"),
]

AGENTS = {
    "variant-a": {"coder": "Write, fix and test code.", "writer": "Write and translate letters."},
    "variant-b": {"coder": "Code.", "writer": "Texts."},
}
REQUESTS = [
    ("Fix the test", "coder"),
    ("Translate the letter", "writer"),
    ("Fix the code", "coder"),
    ("Write a letter", "writer"),
]
Example = Any


@pytest.fixture(scope="module")
def example(target: Target) -> Iterator[Example]:
    """A function that runs an example with the stand-in and returns what it printed."""
    python = models_python()
    with fake_llm() as variables:
        yield lambda script, *arguments, **more: result_of(
            target, script, *arguments, python=python, **variables, **more
        )


@pytest.fixture(scope="module")
def routing(langfuse: Langfuse, unique: Callable[[str], str], example: Example) -> dict[str, Any]:
    """What the routing example printed, with a prompt and a dataset of its own."""
    prompt, dataset = unique("routing"), unique("golden")
    for label, agents in AGENTS.items():
        langfuse.create_prompt(
            name=prompt,
            type="chat",
            prompt=[{"role": "system", "content": "Choose."}, {"role": "user", "content": "{{request}}"}],
            config={"model": "gpt-4o-mini", "temperature": 0, "agents": agents},
            labels=[label, "production"] if label == "variant-a" else [label],
        )
    langfuse.create_dataset(name=dataset)
    for number, (request, agent) in enumerate(REQUESTS):
        langfuse.create_dataset_item(
            dataset_name=dataset,
            id=f"{dataset}-{number}",
            input={"request": request},
            expected_output=agent,
        )
    session = unique("routing")
    names = ("--prompt", prompt, "--dataset", dataset, "--session", session)
    return {"prompt": prompt, "session": session, **example("agents.py", "--requests", "8", *names)}


def parents(rows: list[Row]) -> set[tuple[str, str, str | None]]:
    """Return type, name and the parent's name of each observation."""
    names = {row["id"]: row["name"] for row in rows}
    return {(row["type"], row["name"], names.get(row["parentObservationId"])) for row in rows}


def test_a_request_is_routed_by_the_prompt_and_answered_by_the_agent(
    routing: dict[str, Any], server: Server
) -> None:
    for one in routing["requests"]:
        rows = server.observations(traceId=one["trace_id"])
        assert parents(rows) >= {
            ("CHAIN", "agent_routing", None),
            ("CHAIN", "LangGraph", "agent_routing"),
            ("CHAIN", "route", "LangGraph"),
            ("AGENT", one["agent"], one["agent"]),
            ("GENERATION", "ChatOpenAI", one["agent"]),
        }
        [linked] = [row for row in rows if row["promptName"]]
        assert (linked["type"], linked["promptName"]) == ("GENERATION", routing["prompt"])
        assert linked["promptVersion"] == one["version"]
        agent_calls = [
            row
            for row in rows
            if row["type"] == "GENERATION" and row["metadata"].get("agent") == one["agent"]
        ]
        assert len(agent_calls) == 1
        assert agent_calls[0]["totalCost"] > 0
        assert {row["userId"] for row in rows} == {one["user_id"]}
        assert all({"example", "agents", one["variant"]} == set(row["tags"]) for row in rows)


def test_users_stay_with_their_variant_and_both_variants_are_used(routing: dict[str, Any]) -> None:
    versions = {(one["user_id"], one["variant"], one["version"]) for one in routing["requests"]}
    assert len(versions) == len({user for user, _, _ in versions}) == 8
    assert {(variant, version) for _, variant, version in versions} == {("variant-a", 1), ("variant-b", 2)}


def test_right_and_wrong_choices_are_scored(routing: dict[str, Any], server: Server) -> None:
    for one in routing["requests"]:
        rows = {row["type"]: row for row in server.observations(traceId=one["trace_id"])}
        scores = {row["name"]: row for row in server.await_scores(2, traceId=one["trace_id"])}
        assert one["right"] == (one["agent"] == one["expected"])
        assert scores["routing-accuracy"]["value"] is one["right"]
        assert scores["task_success"]["value"] is one["right"]
        assert scores["task_success"]["subject"]["id"] == rows["AGENT"]["id"]
    # Agents that are described in more words are found more easily; without a difference nothing is compared.
    assert routing["accuracy"]["variant-a"] > routing["accuracy"]["variant-b"]


def test_a_variant_is_promoted_and_rolled_back(
    routing: dict[str, Any], example: Example, server: Server
) -> None:
    name = routing["prompt"]

    def production() -> int:
        return int(server.read(f"/api/public/v2/prompts/{name}", label="production")["version"])

    assert production() == 1
    moved = example("agents.py", "--prompt", name, "--promote", "variant-b")
    assert (moved["from_version"], moved["to_version"], production()) == (1, 2, 2)
    back = example("agents.py", "--prompt", name, "--rollback", "1")
    assert (back["from_version"], back["to_version"], production()) == (2, 1, 1)


@pytest.fixture(scope="module")
def names(langfuse: Langfuse, server: Server, unique: Callable[[str], str]) -> dict[str, str]:
    """A prompt, a queue and a judge of this run alone."""
    names = {"prompt": unique("service"), "judge": unique("judge"), "queue": unique("review")}
    langfuse.create_prompt(
        name=names["prompt"],
        type="chat",
        prompt=[
            {"role": "system", "content": "Help customers of {{company}}.\n\nContext:\n{{context}}"},
            {"type": "placeholder", "name": "history"},
            {"role": "user", "content": "{{question}}"},
        ],
        config={"model": "gpt-4o-mini", "temperature": 0.3},
        labels=["production"],
    )
    langfuse.create_prompt(
        name=names["judge"],
        prompt="Question: {{question}}\nReference: {{reference}}\nAnswer: {{answer}}",
        config={"model": "gpt-4o-mini", "temperature": 0},
        labels=["production"],
    )
    queue = {"name": names["queue"], "scoreConfigIds": [quality_config(server)]}
    server.http.post("/api/public/annotation-queues", json=queue).raise_for_status()
    return names


def quality_config(server: Server) -> str:
    """Return the score config that reviewers use, made where there is none: it can never be deleted."""
    configs = server.read("/api/public/score-configs", limit=100)["data"]
    found = [one["id"] for one in configs if one["name"] == "quality" and not one["isArchived"]]
    if found:
        return str(found[0])
    config = {"name": "quality", "dataType": "NUMERIC", "minValue": 0, "maxValue": 1}
    made = server.http.post("/api/public/score-configs", json=config).raise_for_status()
    return str(made.json()["id"])


@pytest.fixture(scope="module")
def answers(names: dict[str, str], unique: Callable[[str], str], example: Example) -> dict[str, Any]:
    """What the retrieval example printed of a question that the handbook answers, and of another one."""
    questions = ("How long is the warranty for turntables?", "Who won the cup in 1998?")
    options = ("--prompt", names["prompt"], "--queue", names["queue"], "--session", unique("rag"))
    result: dict[str, Any] = example("rag.py", *questions, *options)
    return result


def test_an_answer_is_found_retrieved_and_streamed(
    answers: dict[str, Any], names: dict[str, str], server: Server
) -> None:
    known, _ = answers["answers"]
    assert known["answer"] == "Turntables have a warranty of three years."
    rows = server.observations(traceId=known["trace_id"])
    assert parents(rows) == {
        ("CHAIN", "rag_query", None),
        ("RETRIEVER", "retrieve", "rag_query"),
        ("EMBEDDING", "embed_question", "retrieve"),
        ("GENERATION", "answer", "rag_query"),
        ("EVALUATOR", "check_answer", "rag_query"),
        ("EMBEDDING", "embed_answer", "check_answer"),
    }
    by_name = {row["name"]: row for row in rows}
    answer = by_name["answer"]
    assert (answer["promptName"], answer["promptVersion"]) == (names["prompt"], 1)
    assert answer["output"] == by_name["rag_query"]["output"] == known["answer"]
    assert answer["timeToFirstToken"] is not None
    assert (answer["usageDetails"]["output"], answer["totalCost"] > 0) == (7, True)
    retrieved = json.loads(by_name["retrieve"]["output"])
    assert [one["section"] for one in retrieved] == known["sections"]
    assert known["sections"][0] == "warranty"
    assert 1 >= retrieved[0]["similarity"] > retrieved[-1]["similarity"] > 0
    assert by_name["embed_question"]["totalCost"] > 0


def test_answers_are_scored_by_rules_and_by_readers(answers: dict[str, Any], server: Server) -> None:
    for one, feedback in zip(answers["answers"], (1, 0), strict=True):
        scores = {row["name"]: row["value"] for row in server.await_scores(3, traceId=one["trace_id"])}
        assert scores == {
            "semantic-similarity": pytest.approx(one["similarity"]),
            "toxicity": 0,
            "user-feedback": feedback,
        }
    assert answers["answers"][0]["similarity"] > 0.5
    assert answers["answers"][1]["similarity"] == 0


def test_a_person_grades_what_waits_in_the_queue(
    answers: dict[str, Any], names: dict[str, str], example: Example, server: Server
) -> None:
    _, unknown = answers["answers"]
    # A slip and a grade beyond the scale are asked for again.
    result = example("rag.py", "--review", "--queue", names["queue"], typed="good\n2\n0.25\n")
    assert result == {"graded": [{"trace_id": unknown["trace_id"], "quality": 0.25}]}
    scores = {row["name"]: row for row in server.await_scores(4, traceId=unknown["trace_id"])}
    assert (scores["quality"]["value"], scores["quality"]["source"]) == (0.25, "ANNOTATION")
    again = example("rag.py", "--review", "--queue", names["queue"], typed="1\n")
    assert again == {"graded": []}


def test_two_variants_are_compared_by_rule_and_judge(
    langfuse: Langfuse,
    names: dict[str, str],
    unique: Callable[[str], str],
    example: Example,
    server: Server,
) -> None:
    dataset, mark = unique("golden"), unique("run")
    langfuse.create_dataset(name=dataset)
    for number, (question, expected) in enumerate(
        [
            ("When is a card charged?", "A card is charged when the parcel leaves the warehouse."),
            ("How long is the warranty for turntables?", "Turntables have a warranty of three years."),
        ]
    ):
        langfuse.create_dataset_item(
            dataset_name=dataset,
            id=f"{dataset}-{number}",
            input={"question": question},
            expected_output=expected,
        )
    result = example("evaluation.py", "--dataset", dataset, "--judge", names["judge"], "--run", mark)
    grounded, memory = result["experiments"]
    assert (grounded["run"], memory["run"]) == (f"grounded-{mark}", f"from-memory-{mark}")
    assert grounded["scores"] == {"mean-factual-accuracy": 1, "pass-rate": 1}
    # The stand-in repeats the question: some words of it are in the reference, but not the fact.
    assert 0 < memory["scores"]["mean-factual-accuracy"] < 1
    assert memory["scores"]["pass-rate"] == 0
    since = "2020-01-01T00:00:00Z"
    items = server.read(
        "/api/public/experiment-items",
        experimentId=grounded["id"],
        fromStartTime=since,
        fields="core,dataset,io,scores",
    )["data"]
    assert len(items) == 2
    for item in items:
        given = {score["name"]: score["value"] for score in item["scores"]}
        assert given == {"contains-answer": True, "factual-accuracy": 1}


def test_a_dataset_is_collected_from_traces_whose_answers_were_liked(
    answers: dict[str, Any], unique: Callable[[str], str], example: Example, server: Server
) -> None:
    known, unknown = answers["answers"]
    # A second time into the same dataset, and into another one, as the next run of these tests does.
    datasets = [unique("production"), unique("production")]
    for dataset in (*datasets, datasets[0]):
        assert example("evaluation.py", "--collect", dataset)["collected"] >= 1
    for dataset in datasets:
        items = server.read("/api/public/dataset-items", datasetName=dataset)["data"]
        by_trace = {item["sourceTraceId"]: item for item in items}
        assert len(by_trace) == len(items)
        assert unknown["trace_id"] not in by_trace
        item = by_trace[known["trace_id"]]
        assert item["input"] == {"question": known["question"]}
        assert item["expectedOutput"] == known["answer"]


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        ("agents.py", ["--prompt", "absent"], "There is no prompt absent with the label variant-a"),
        ("rag.py", ["--queue", "absent"], "There is no annotation queue absent"),
        ("evaluation.py", ["--dataset", "absent"], "Dataset not found"),
    ],
)
def test_what_is_missing_is_named_with_the_way_to_get_it(
    target: Target, script: str, arguments: list[str], message: str
) -> None:
    done = run(target, script, *arguments, python=models_python(), OPENAI_API_KEY="none")
    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr
    assert "make bootstrap" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("script", ["rag.py", "evaluation.py"])
def test_without_a_model_an_example_says_where_one_is(target: Target, script: str) -> None:
    done = run(target, script, python=models_python())
    assert (done.returncode, done.stdout) == (2, "")
    assert "make fake-llm" in done.stderr
