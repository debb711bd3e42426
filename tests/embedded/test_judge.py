"""The engine judges: new observations that a rule matches get scores, and each judgement leaves a trace."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from langfuse_embedded.judge.identity import execution_trace_id, job_id, score_id
from tests.waiting import wait_for

from .conftest import StartEngine
from .harness import RunningEngine
from .judging import (
    ALLOWED,
    CONNECTIONS,
    EVALUATORS,
    NUMERIC,
    RULES,
    Model,
    accepted,
    connect,
    evaluator,
    rule,
    running_model,
    scores,
)
from .spans import ALL_GROUPS, read, send, span, span_id, trace_id

STATE = "/api/embedded/judge"
DEFAULT_MODEL = f"{STATE}/default-model"
# The server's own settings: four retries within eight seconds.
QUICK = {**ALLOWED, "LANGFUSE_LLM_AS_JUDGE_QUEUE_RETRY_MAX_AGE_SECONDS": "8"}


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    """A model for all tests of the module."""
    with running_model() as running:
        yield running


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, model: Model) -> Iterator[RunningEngine]:
    """An engine that may call the model."""
    running = RunningEngine(tmp_path_factory.mktemp("judging") / "data", QUICK).start()
    connect(running.client, model.base_url)
    yield running
    assert running.stop() == 0, running.log()


@pytest.fixture(autouse=True)
def no_rules(model: Model, client: httpx.Client) -> Iterator[None]:
    """Leave no rules of a test to the next, neither to the engine nor to the model."""
    yield
    model.rule()
    for one in accepted(client.get(RULES, params={"limit": 100}))["data"]:
        accepted(client.delete(f"{RULES}/{one['id']}"))


def observe(client: httpx.Client, name: str, output: str = "Athens", **attributes: Any) -> tuple[str, str]:
    """Send an observation with a reference and an answer; return the ids of its trace and itself."""
    trace, one = trace_id(), span_id()
    given = {
        "langfuse.observation.type": "generation",
        "langfuse.observation.output": output,
        "langfuse.observation.metadata.expected": "Athens",
        **attributes,
    }
    send(client, span(trace, name, id=one, attributes=given))
    return trace, one


def named(name: str) -> list[dict[str, Any]]:
    """Return the filter for observations of a name."""
    return [{"type": "stringOptions", "column": "name", "operator": "any of", "value": [name]}]


def judged(client: httpx.Client, trace: str, count: int = 1) -> list[dict[str, Any]]:
    """Wait for scores of a trace and return them."""

    def enough() -> list[dict[str, Any]]:
        found = scores(client, traceId=trace)
        return found if len(found) >= count else []

    return list(wait_for(enough, "as many scores as wanted"))


def test_an_observation_gets_the_score_that_the_server_would_give(
    engine: RunningEngine, client: httpx.Client
) -> None:
    made = evaluator(client, "accuracy")
    ruled = rule(client, [made["id"]], name="by id", filter=named("by-id"))
    before = observe(client, "other")
    trace, one = observe(client, "by-id", environment="staging", **{"langfuse.environment": "staging"})
    [score] = judged(client, trace)
    metadata = score["metadata"]
    assignment = metadata["evaluation_rule_assignment_id"]
    job = job_id(ruled["id"], assignment, trace, one)
    assert score["id"] == score_id(job, "accuracy", 0)
    assert (score["name"], score["value"], score["dataType"], score["source"]) == (
        "accuracy",
        1,
        "NUMERIC",
        "EVAL",
    )
    assert score["comment"] == "1 of 1 words of the answer are in the reference"
    assert score["environment"] == "staging"
    assert score["subject"] == {"kind": "observation", "id": one, "traceId": trace}
    assert metadata == {
        "job_execution_id": job,
        "job_configuration_id": ruled["id"],
        "evaluation_rule_id": ruled["id"],
        "evaluation_rule_assignment_id": assignment,
        "evaluator_id": made["id"],
        "evaluator_version_id": made["versionId"],
        "target_trace_id": trace,
        "target_observation_id": one,
    }
    assert scores(client, traceId=before[0]) == []


def test_a_judgement_leaves_a_trace_with_its_cost(client: httpx.Client) -> None:
    made = evaluator(client, "traced")
    rule(client, [made["id"]], name="traced", filter=named("traced"))
    trace, _ = observe(client, "traced")
    [score] = judged(client, trace)
    execution = execution_trace_id(score["metadata"]["job_execution_id"])
    call, root = read(client, traceId=execution, fields=ALL_GROUPS)
    question = [{"role": "user", "content": "Reference: Athens\nAnswer: Athens"}]
    if root["type"] == "GENERATION":
        call, root = root, call
    assert (root["type"], root["name"], root["parentObservationId"]) == (
        "SPAN",
        "Execute evaluator: traced",
        None,
    )
    assert (call["type"], call["name"], call["parentObservationId"]) == (
        "GENERATION",
        "chat gpt-4o-mini",
        root["id"],
    )
    assert json.loads(root["input"]) == json.loads(call["input"]) == question
    assert json.loads(root["output"]) == {"reasoning": score["comment"], "score": 1}
    [answer] = json.loads(call["output"])
    assert answer["role"] == "assistant"
    assert json.loads(answer["content"][0]["text"]) == {"reasoning": score["comment"], "score": 1.0}
    assert {root["environment"], call["environment"]} == {"langfuse-llm-as-a-judge"}
    assert call["usageDetails"] == {"input": 4, "output": 14, "input_cached_tokens": 0, "total": 18}
    assert call["totalCost"] > 0
    for name, value in score["metadata"].items():
        assert root["metadata"][name] == call["metadata"][name] == value
    assert call["metadata"]["attributes.gen_ai.usage.input_tokens"] == 4
    assert root["metadata"]["scope.name"] == "langfuse-internal-llm-completion"


def test_booleans_and_categories_become_scores_of_their_type(client: httpx.Client) -> None:
    several = {"dataType": "CATEGORICAL", "categories": ["good", "bad"], "shouldAllowMultipleMatches": True}
    ids = [
        evaluator(client, "right", outputDefinition={"dataType": "BOOLEAN"})["id"],
        evaluator(client, "kind", outputDefinition={**several, "shouldAllowMultipleMatches": False})["id"],
        evaluator(client, "kinds", outputDefinition=several)["id"],
    ]
    rule(client, ids, name="types", filter=named("types"))
    trace, _ = observe(client, "types")
    found = {one["name"]: one for one in judged(client, trace, 3)}
    assert {name: (one["dataType"], one["value"]) for name, one in found.items()} == {
        "right": ("BOOLEAN", True),
        "kind": ("CATEGORICAL", "good"),
        "kinds": ("CATEGORICAL", "good"),
    }


def test_several_categories_become_several_scores_of_one_name(client: httpx.Client, model: Model) -> None:
    several = {"dataType": "CATEGORICAL", "categories": ["good", "bad"], "shouldAllowMultipleMatches": True}
    made = evaluator(client, "both", outputDefinition=several)
    rule(client, [made["id"]], name="both", filter=named("both"))
    model.rule({"answer": {"score": ["bad", "good"]}})
    trace, _ = observe(client, "both")
    found = judged(client, trace, 2)
    assert sorted(one["value"] for one in found) == ["bad", "good"]
    job = found[0]["metadata"]["job_execution_id"]
    assert {one["id"] for one in found} == {score_id(job, "both", 0), score_id(job, "both", 1)}


def test_an_anthropic_connection_is_asked_in_its_own_way(client: httpx.Client, model: Model) -> None:
    connect(client, model.base_url, provider="claude", adapter="anthropic")
    prompt = [{"role": "system", "content": "Be strict."}, {"role": "user", "content": "Answer: {{answer}}"}]
    made = evaluator(
        client,
        "strict",
        prompt=prompt,
        variableMapping=[{"variable": "answer", "source": "output"}],
        modelConfig={"provider": "claude", "model": "claude-haiku-4-5"},
    )
    rule(client, [made["id"]], name="strict", filter=named("strict"))
    trace, _ = observe(client, "strict")
    [score] = judged(client, trace)
    assert (score["name"], score["value"]) == ("strict", 0)


def test_what_was_there_before_the_rule_and_what_judges_say_is_not_judged(
    client: httpx.Client, model: Model
) -> None:
    made = evaluator(client, "later")
    earlier = [observe(client, "early")[0] for _ in range(3)]
    rule(client, [made["id"]], name="later", filter=[])
    environments = ("llm-as-a-judge", "default")
    skipped, trace = (observe(client, "early", **{"langfuse.environment": one})[0] for one in environments)
    judged(client, trace)
    for one in (*earlier, skipped):
        assert scores(client, traceId=one) == []
    # Neither the judgement's own trace: one question was asked.
    asked = model.questions
    wait_for(lambda: client.get(STATE).json()["waiting"] == 0, "nothing waits for the judge")
    assert model.questions == asked


def test_a_change_of_the_evaluator_counts_for_the_next_observation(client: httpx.Client) -> None:
    made = evaluator(client, "changing")
    ruled = rule(client, [made["id"]], name="changing", filter=named("changing"))
    first, _ = observe(client, "changing", output="Sparta")
    assert [one["value"] for one in judged(client, first)] == [0]
    body = {
        "type": "llm_as_judge",
        "prompt": "Reference: Sparta\nAnswer: {{answer}}",
        "modelConfig": made["modelConfig"],
        "variableMapping": [{"variable": "answer", "source": "output"}],
        "outputDefinition": NUMERIC,
    }
    changed = accepted(client.patch(f"{EVALUATORS}/{made['id']}", json=body))
    second, _ = observe(client, "changing", output="Sparta")
    [score] = judged(client, second)
    assert (score["value"], score["metadata"]["evaluator_version_id"]) == (1, changed["versionId"])
    accepted(client.patch(f"{RULES}/{ruled['id']}", json={"enabled": False}))
    third, _ = observe(client, "changing")
    fourth = evaluator(client, "marker")
    rule(client, [fourth["id"]], name="marker", filter=named("marker"))
    marked, _ = observe(client, "marker")
    judged(client, marked)
    assert scores(client, traceId=third) == []


def test_an_observation_that_is_sent_again_is_judged_again_under_the_same_id(
    client: httpx.Client, model: Model
) -> None:
    made = evaluator(client, "again")
    rule(client, [made["id"]], name="again", filter=named("again"))
    trace, one = observe(client, "again", output="Sparta")
    [first] = judged(client, trace)
    attributes = {"langfuse.observation.output": "Athens", "langfuse.observation.metadata.expected": "Athens"}
    send(client, span(trace, "again", id=one, attributes=attributes))
    [second] = wait_for(
        lambda: (found := scores(client, traceId=trace))[0]["value"] == 1 and found, "the score has changed"
    )
    assert (first["value"], first["id"]) == (0, second["id"])


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"status": 401, "message": "Incorrect API key provided"}, "LLM_CONNECTION_AUTH_INVALID"),
        ({"status": 402}, "LLM_CONNECTION_BILLING_EXHAUSTED"),
        ({"status": 404}, "EVAL_MODEL_UNAVAILABLE"),
        ({"status": 429, "code": "insufficient_quota"}, "LLM_CONNECTION_BILLING_EXHAUSTED"),
    ],
)
def test_what_will_not_get_better_pauses_the_evaluator(
    client: httpx.Client, model: Model, fault: dict[str, Any], reason: str
) -> None:
    name = f"paused-{fault['status']}-{fault.get('code', '')}"
    made = evaluator(client, name)
    rule(client, [made["id"]], name=name, filter=named(name))
    model.rule({"contains": "Troy", **fault})
    trace, _ = observe(client, name, output="Troy")
    paused = wait_for(
        lambda: (one := client.get(f"{EVALUATORS}/{made['id']}").json())["pausedReason"] and one,
        "the evaluator is paused",
    )
    assert (paused["status"], paused["pausedReason"]) == ("paused", reason)
    assert {"name": name, "reason": reason} in client.get(STATE).json()["paused"]
    assert scores(client, traceId=trace) == []


@pytest.mark.parametrize("content", ["no JSON", '{"reasoning": "r", "score": 7}', '{"score": 1}'])
def test_an_answer_that_does_not_fit_is_an_error_of_the_judgement(
    client: httpx.Client, model: Model, content: str
) -> None:
    name = f"odd-{len(content)}"
    made = evaluator(client, name)
    rule(client, [made["id"]], name=name, filter=named(name))
    model.rule({"content": content})
    trace, one = observe(client, name)

    def failed() -> dict[str, Any] | None:
        rows = read(client, environment="langfuse-llm-as-a-judge", fields="core,basic,io,metadata")
        spans = (row for row in rows if row["type"] == "SPAN")
        return next((row for row in spans if row["metadata"]["target_observation_id"] == one), None)

    # Its own trace, not how many have failed: judgements of other tests may still be repeated.
    root = wait_for(failed, "the judgement has failed")
    assert root["statusMessage"].startswith("No object generated")
    assert (root["level"], root["output"]) == ("ERROR", None)
    assert scores(client, traceId=trace) == []
    assert client.get(f"{EVALUATORS}/{made['id']}").json()["status"] == "active"
    wait_for(lambda: client.get(STATE).json()["lastError"] == root["statusMessage"], "the state says why")


def test_a_model_that_fails_for_now_is_asked_again_later(client: httpx.Client, model: Model) -> None:
    made = evaluator(client, "patient")
    rule(client, [made["id"]], name="patient", filter=named("patient"))
    model.rule({"contains": "Argos", "status": 500, "message": "Not now"})
    trace, _ = observe(client, "patient", output="Argos")
    wait_for(lambda: client.get(STATE).json()["delayed"], "a judgement is delayed")
    model.rule()
    [score] = judged(client, trace)
    assert score["value"] == 0


def test_a_connection_without_permission_to_call_inside_is_not_called(start_engine: StartEngine) -> None:
    with running_model() as model:
        allowing = start_engine(**ALLOWED)
        connect(allowing.client, model.base_url)
        made = evaluator(allowing.client, "forbidden")
        rule(allowing.client, [made["id"]])
        allowing.stop()
        strict = start_engine(data_dir=allowing.data_dir)
        observe(strict.client, "any")
        path = f"{EVALUATORS}/{made['id']}"
        wait_for(
            lambda: strict.client.get(path).json()["pausedReason"] == "EVAL_MODEL_CONFIG_INVALID",
            "the evaluator is paused",
        )
        assert model.questions == 0


def test_no_process_and_no_file_without_a_rule(start_engine: StartEngine) -> None:
    running = start_engine()
    evaluator(running.client, "idle", modelConfig=None)
    observe(running.client, "any")
    assert running.client.get(STATE).json()["running"] is False
    assert not (running.data_dir / "judge.db").exists()


def test_a_budget_stops_the_judge_until_the_next_day(start_engine: StartEngine) -> None:
    with running_model() as model:
        # One question costs 9 millionths of a dollar.
        running = start_engine(
            **ALLOWED,
            EMBEDDED_JUDGE_BUDGET_USD="0.00002",
            LANGFUSE_LLM_AS_JUDGE_EXECUTION_WORKER_CONCURRENCY="1",
        )
        client = running.client
        connect(client, model.base_url)
        rule(client, [evaluator(client, "dear")["id"]])
        for _ in range(6):
            observe(client, "any")
        wait_for(lambda: client.get(STATE).json()["costTodayUsd"] >= 0.00002, "the budget is used")
        state = client.get(STATE).json()
        assert (state["judgedToday"], state["waiting"], state["budgetUsd"]) == (3, 3, 0.00002)
        assert model.questions == 3
        running.stop()
        # What waits is not lost, and a start does not open the purse.
        again = start_engine(data_dir=running.data_dir, **ALLOWED, EMBEDDED_JUDGE_BUDGET_USD="0.00002")
        assert again.client.get(STATE).json()["waiting"] == 3
        again.stop()
        freed = start_engine(data_dir=running.data_dir, **ALLOWED)
        wait_for(lambda: freed.client.get(STATE).json()["judgedToday"] == 6, "six judgements")


def test_a_deleted_trace_leaves_what_it_cost_and_nothing_else(start_engine: StartEngine) -> None:
    with running_model() as model:
        budget = {**ALLOWED, "EMBEDDED_JUDGE_BUDGET_USD": "0.000005"}  # less than one question costs
        running = start_engine(**budget, LANGFUSE_LLM_AS_JUDGE_EXECUTION_WORKER_CONCURRENCY="1")
        client = running.client
        connect(client, model.base_url)
        rule(client, [evaluator(client, "careful")["id"]])
        traces = [observe(client, "any")[0] for _ in range(3)]
        wait_for(lambda: client.get(STATE).json()["judgedToday"] == 1, "one judgement")
        before = client.get(STATE).json()
        assert before["waiting"] == 2
        accepted(client.request("DELETE", "/api/public/traces", json={"traceIds": traces}))
        after = client.get(STATE).json()
        assert (after["waiting"], after["judgedToday"]) == (0, 1)
        assert after["costTodayUsd"] == before["costTodayUsd"] > 0
        with closing(sqlite3.connect(running.data_dir / "judge.db")) as db:
            left = db.execute("select trace_id, span_id, status from jobs").fetchall()
        assert left == [("", "", "done")]
        running.stop()
        # The purse is as empty as before.
        again = start_engine(data_dir=running.data_dir, **budget)
        observe(again.client, "any")
        wait_for(lambda: again.client.get(STATE).json()["waiting"] == 1, "one waits")
        assert model.questions == 1


def test_secrets_of_connections_can_be_read_with_their_key_alone(start_engine: StartEngine) -> None:
    with running_model() as model:
        first = start_engine(**ALLOWED, ENCRYPTION_KEY="0" * 64)
        connect(first.client, model.base_url)
        made = evaluator(first.client, "sealed")
        rule(first.client, [made["id"]])
        first.stop()
        other = start_engine(data_dir=first.data_dir, **ALLOWED, ENCRYPTION_KEY="1" * 64)
        observe(other.client, "any")
        path = f"{EVALUATORS}/{made['id']}"
        wait_for(
            lambda: other.client.get(path).json()["pausedReason"] == "EVAL_MODEL_CONFIG_INVALID",
            "the evaluator is paused",
        )
        assert "send the connection again" in other.client.get(STATE).json()["lastError"]
        assert model.questions == 0
        assert other.client.get(CONNECTIONS).json()["data"][0]["displaySecretKey"] == "...7890"


def test_an_evaluator_without_a_model_asks_the_default_model(
    engine: RunningEngine, client: httpx.Client, model: Model
) -> None:
    made = evaluator(client, "by-default", modelConfig=None)
    assert (made["status"], made["pausedReason"]) == ("paused", "DEFAULT_EVAL_MODEL_MISSING")
    named_one = evaluator(client, "names-its-model")
    assert client.get(DEFAULT_MODEL).status_code == 404
    chosen = {"provider": "fake", "model": "gpt-4o-mini", "modelParams": {"temperature": 0.5}}
    assert accepted(client.put(DEFAULT_MODEL, json=chosen)) == {**chosen, "adapter": "openai"}
    assert accepted(client.get(DEFAULT_MODEL)) == {**chosen, "adapter": "openai"}
    assert accepted(client.get(f"{EVALUATORS}/{made['id']}"))["status"] == "active"
    rule(client, [made["id"]], filter=named("by-default"))
    trace, _ = observe(client, "by-default")
    [score] = judged(client, trace)
    assert (score["name"], score["value"]) == ("by-default", 1)
    # Its evaluators stop with it, also where its connection goes; the others do not.
    for path in (DEFAULT_MODEL, f"{CONNECTIONS}/{connection_id(client)}"):
        accepted(client.delete(path))
        found = accepted(client.get(f"{EVALUATORS}/{made['id']}"))
        assert found["pausedReason"] == "DEFAULT_EVAL_MODEL_MISSING"
        connect(client, model.base_url)
        accepted(client.put(DEFAULT_MODEL, json=chosen))
        assert accepted(client.get(f"{EVALUATORS}/{made['id']}"))["status"] == "active"
    assert accepted(client.get(f"{EVALUATORS}/{named_one['id']}"))["pausedReason"] == "LLM_CONNECTION_MISSING"
    accepted(client.delete(DEFAULT_MODEL))


def connection_id(client: httpx.Client) -> str:
    [one] = [one for one in accepted(client.get(CONNECTIONS))["data"] if one["provider"] == "fake"]
    return str(one["id"])


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"provider": "nobody"}, 404, "API key for provider nobody"),
        ({"model": "refused"}, 403, "Model configuration not valid for evaluation. No such model"),
        ({"modelParams": {"seed": 1}}, 400, "seed"),
        ({"model": ""}, 400, "model"),
    ],
)
def test_a_default_model_that_does_not_work_is_refused(
    client: httpx.Client, model: Model, changes: dict[str, Any], status: int, said: str
) -> None:
    model.rule({"model": "refused", "status": 404, "message": "No such model"})
    answer = client.put(DEFAULT_MODEL, json={"provider": "fake", "model": "gpt-4o-mini", **changes})
    assert answer.status_code == status, answer.text
    assert said in answer.text
    assert client.get(DEFAULT_MODEL).status_code == 404
