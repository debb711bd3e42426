"""Evaluators and evaluation rules: the official client's calls, versions, pages, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from langfuse.api import LangfuseAPI
from langfuse.api.evaluation_commons import (
    EvaluationRuleFilter_StringOptions,
    EvaluationRuleOptionsFilterOperator,
    EvaluatorOutputDefinition_Boolean,
    EvaluatorOutputDefinition_Categorical,
    EvaluatorOutputDefinition_Numeric,
    PromptVariableMappingInput,
    PromptVariableMappingSource,
)
from langfuse.api.evaluation_errors import (
    BadRequestError,
    ConflictError,
    EvaluationAccessDeniedError,
    EvaluationNotFoundError,
)
from langfuse.api.evaluation_rules import EvaluationRuleEvaluatorAssignmentInput
from langfuse.api.evaluators import (
    CreateEvaluatorRequest_Code,
    CreateEvaluatorRequest_LlmAsJudge,
    EvaluatorModelConfig,
    UpdateEvaluatorMetadataRequest,
    UpdateLlmAsJudgeEvaluatorRequest,
)

from .harness import RunningEngine
from .judging import CONNECTIONS, EVALUATORS, MAPPING, NUMERIC, PROMPT, RULES, connect, evaluator, rule

# Nothing answers here: what is stored needs no model.
NOWHERE = "https://llm.acme.example/v1"


@pytest.fixture(scope="module")
def api(engine: RunningEngine) -> Iterator[LangfuseAPI]:
    """The official client."""
    keys = engine.keys
    with httpx.Client() as http:
        yield LangfuseAPI(
            base_url=engine.base_url,
            username=keys.public_key,
            password=keys.secret_key,
            x_langfuse_public_key=keys.public_key,
            x_langfuse_sdk_name="python",
            x_langfuse_sdk_version="5.0.4",
            httpx_client=http,
        )


@pytest.fixture(autouse=True)
def connection(client: httpx.Client) -> None:
    """The connection that evaluators name."""
    connect(client, NOWHERE)


def judge(name: str, **changes: Any) -> CreateEvaluatorRequest_LlmAsJudge:
    """Return the request for an evaluator."""
    fields: dict[str, Any] = {
        "name": name,
        "prompt": "Answer: {{output}}",
        "model_config_": EvaluatorModelConfig(provider="fake", model="gpt-4o-mini"),
        "variable_mapping": [
            PromptVariableMappingInput(variable="output", source=PromptVariableMappingSource.OUTPUT)
        ],
        "output_definition": EvaluatorOutputDefinition_Numeric(min_value=0, max_value=1),
    }
    return CreateEvaluatorRequest_LlmAsJudge(**{**fields, **changes})


def test_the_official_client_makes_an_evaluator_and_reads_it_back(api: LangfuseAPI) -> None:
    made = api.evaluators.create(request=judge("accuracy", description="Is it right?"))
    assert (made.version, made.status, made.variables) == (1, "active", ["output"])
    assert made.evaluation_rule_assignments == []
    assert [(one.role, one.content) for one in made.prompt] == [("user", "Answer: {{output}}")]
    assert (made.output_definition.min_value, made.output_definition.max_value) == (0, 1)
    read = api.evaluators.get(made.id)
    assert read == made
    assert made.id in [one.id for one in api.evaluators.list(limit=100).data]


@pytest.mark.parametrize(
    "output",
    [
        EvaluatorOutputDefinition_Boolean(score_value_instructions="true if it is right"),
        EvaluatorOutputDefinition_Categorical(categories=["good", "bad"], should_allow_multiple_matches=True),
    ],
)
def test_outputs_of_every_type_are_kept(api: LangfuseAPI, output: Any) -> None:
    made = api.evaluators.create(request=judge("typed", output_definition=output))
    kept = made.output_definition.model_dump(exclude_none=True)
    assert kept == output.model_dump(exclude_none=True)


def test_names_need_not_be_unique_and_a_definition_that_changes_makes_a_version(api: LangfuseAPI) -> None:
    first, second = (api.evaluators.create(request=judge("twice")) for _ in range(2))
    assert (first.id != second.id, second.version) == (True, 1)
    renamed = api.evaluators.update(second.id, request=UpdateEvaluatorMetadataRequest(name="renamed"))
    assert (renamed.name, renamed.version, renamed.version_id) == ("renamed", 1, second.version_id)
    replacement = {
        "prompt": "Better: {{output}}",
        "model_config_": second.model_config_,
        "variable_mapping": [PromptVariableMappingInput(variable="output", source="input")],
        "output_definition": EvaluatorOutputDefinition_Numeric(min_value=0, max_value=1),
    }
    for _ in range(2):  # the second time nothing changes
        changed = api.evaluators.update(second.id, request=UpdateLlmAsJudgeEvaluatorRequest(**replacement))
        assert (changed.id, changed.version, changed.name) == (second.id, 2, "renamed")
    versions = api.evaluators.list_versions(second.id).data
    assert [(one.version, one.prompt[0].content) for one in versions] == [
        (2, "Better: {{output}}"),
        (1, "Answer: {{output}}"),
    ]


def test_lists_are_read_in_pages(api: LangfuseAPI) -> None:
    made = {api.evaluators.create(request=judge(f"page {number}")).id for number in range(3)}
    seen: list[str] = []
    cursor = None
    while True:
        page = api.evaluators.list(limit=2, cursor=cursor)
        assert len(page.data) <= 2
        seen += [one.id for one in page.data]
        cursor = page.meta.cursor
        if cursor is None:
            break
    assert made <= set(seen)
    assert len(seen) == len(set(seen))


def test_the_official_client_makes_changes_and_deletes_a_rule(api: LangfuseAPI) -> None:
    made = api.evaluators.create(request=judge("ruled"))
    assigned = [EvaluationRuleEvaluatorAssignmentInput(evaluator_id=made.id)]
    only = EvaluationRuleFilter_StringOptions(
        column="type", operator=EvaluationRuleOptionsFilterOperator.ANY_OF, value=["GENERATION"]
    )
    made_rule = api.evaluation_rules.create(
        name="generations", enabled=True, evaluator_assignments=assigned, sampling=0.5, filter=[only]
    )
    assert (made_rule.enabled, made_rule.sampling) == (True, 0.5)
    assert [(one.column, one.value) for one in made_rule.filter] == [("type", ["GENERATION"])]
    assert [one.evaluator_id for one in made_rule.evaluator_assignments] == [made.id]
    used = api.evaluators.get(made.id).evaluation_rule_assignments
    assert [one.evaluation_rule_id for one in used] == [made_rule.id]
    changed = api.evaluation_rules.update(made_rule.id, name="renamed", sampling=1)
    assert (changed.name, changed.sampling, changed.filter) == ("renamed", 1, made_rule.filter)
    emptied = api.evaluation_rules.update(made_rule.id, evaluator_assignments=[])
    assert (emptied.enabled, emptied.evaluator_assignments) == (False, [])
    with pytest.raises(BadRequestError, match="at least one evaluator assignment"):
        api.evaluation_rules.update(made_rule.id, enabled=True)
    assert made_rule.id in [one.id for one in api.evaluation_rules.list(limit=100).data]
    assert api.evaluation_rules.delete(made_rule.id).id == made_rule.id
    with pytest.raises(EvaluationNotFoundError):
        api.evaluation_rules.get(made_rule.id)


def test_a_deleted_evaluator_leaves_its_rules_disabled(api: LangfuseAPI) -> None:
    made = api.evaluators.create(request=judge("leaving"))
    assigned = [EvaluationRuleEvaluatorAssignmentInput(evaluator_id=made.id)]
    left = api.evaluation_rules.create(name="left", enabled=True, evaluator_assignments=assigned)
    assert api.evaluators.delete(made.id).id == made.id
    assert api.evaluation_rules.get(left.id).enabled is False


def test_an_evaluator_without_a_connection_is_paused_until_its_definition_names_one(
    api: LangfuseAPI,
) -> None:
    made = api.evaluators.create(
        request=judge("orphan", model_config_=EvaluatorModelConfig(provider="nobody", model="m"))
    )
    assert (made.status, made.paused_reason) == ("paused", "LLM_CONNECTION_MISSING")
    assert made.paused_message.startswith("Evaluator paused: no LLM connection found")
    good = judge("orphan")
    healed = api.evaluators.update(
        made.id,
        request=UpdateLlmAsJudgeEvaluatorRequest(
            prompt=good.prompt,
            model_config_=good.model_config_,
            variable_mapping=good.variable_mapping,
            output_definition=good.output_definition,
        ),
    )
    assert (healed.status, healed.paused_at) == ("active", None)
    assert api.evaluators.create(request=judge("default", model_config_=None)).paused_reason == (
        "DEFAULT_EVAL_MODEL_MISSING"
    )


def test_deleting_a_connection_pauses_who_uses_it(client: httpx.Client) -> None:
    connection = connect(client, NOWHERE, provider="short-lived")
    made = evaluator(client, "user", modelConfig={"provider": "short-lived", "model": "m"})
    assert made["status"] == "active"
    assert client.delete(f"{CONNECTIONS}/{connection['id']}").status_code == 200
    assert client.get(f"{EVALUATORS}/{made['id']}").json()["pausedReason"] == "LLM_CONNECTION_MISSING"


def test_code_is_refused_as_by_a_server_that_runs_none(api: LangfuseAPI) -> None:
    with pytest.raises(EvaluationAccessDeniedError, match="Code evals are not enabled"):
        api.evaluators.create(
            request=CreateEvaluatorRequest_Code(name="c", source_code="1", source_code_language="PYTHON")
        )


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"name": ""}, ["name"]),
        ({"prompt": []}, ["prompt"]),
        ({"prompt": [{"role": "tool", "content": "x"}]}, ["prompt"]),
        ({"outputDefinition": {"dataType": "TEXT"}}, ["outputDefinition", "dataType"]),
        ({"outputDefinition": {**NUMERIC, "minValue": 2}}, ["outputDefinition"]),
        (
            {
                "outputDefinition": {
                    "dataType": "CATEGORICAL",
                    "categories": ["a", "a"],
                    "shouldAllowMultipleMatches": False,
                }
            },
            ["outputDefinition", "categories", 1],
        ),
        ({"variableMapping": MAPPING[:1]}, ["variableMapping"]),
        ({"variableMapping": [*MAPPING, {"variable": "x", "source": "input"}]}, ["variableMapping"]),
        ({"variableMapping": [MAPPING[0], {**MAPPING[1], "jsonPath": "a.b"}]}, ["variableMapping"]),
        (
            {"variableMapping": [MAPPING[0], {**MAPPING[1], "source": "trace"}]},
            ["variableMapping", 1, "source"],
        ),
        ({"modelConfig": {"provider": "fake"}}, ["modelConfig", "model"]),
    ],
)
def test_what_is_wrong_with_an_evaluator_is_said_with_its_place(
    client: httpx.Client, changes: dict[str, Any], path: list[Any]
) -> None:
    body = {
        "name": "wrong",
        "type": "llm_as_judge",
        "prompt": PROMPT,
        "modelConfig": None,
        "variableMapping": MAPPING,
        "outputDefinition": NUMERIC,
    }
    answer = client.post(EVALUATORS, json={**body, **changes})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_body")
    assert [one["path"] for one in answer.json()["details"]["issues"]] == [path]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"sampling": 1.5}, 400),
        ({"sampling": None}, 400),
        ({"filter": [{"type": "string", "column": "nonsense", "operator": "=", "value": "x"}]}, 400),
        ({"filter": [{"type": "string", "column": "name", "operator": "=", "value": "x"}]}, 400),
        (
            {"filter": [{"type": "stringOptions", "column": "type", "operator": "any of", "value": ["X"]}]},
            400,
        ),
        ({"evaluatorAssignments": []}, 400),
        ({"evaluatorAssignments": [{"evaluatorId": "nobody"}]}, 404),
    ],
)
def test_what_is_wrong_with_a_rule_is_refused(
    client: httpx.Client, changes: dict[str, Any], status: int
) -> None:
    made = evaluator(client, "for a wrong rule")
    body = {"name": "wrong", "enabled": True, "evaluatorAssignments": [{"evaluatorId": made["id"]}]}
    assert client.post(RULES, json={**body, **changes}).status_code == status
    assert client.get(f"{EVALUATORS}/{made['id']}").json()["evaluationRuleAssignments"] == []


def test_an_evaluator_is_in_a_rule_once(api: LangfuseAPI) -> None:
    made = api.evaluators.create(request=judge("once"))
    twice = [EvaluationRuleEvaluatorAssignmentInput(evaluator_id=made.id)] * 2
    with pytest.raises(ConflictError):
        api.evaluation_rules.create(name="twice", enabled=False, evaluator_assignments=twice)


def test_both_generations_of_routes_show_the_same(client: httpx.Client) -> None:
    made = evaluator(
        client,
        "shared",
        prompt=[{"role": "system", "content": "Be strict."}, {"role": "user", "content": PROMPT}],
    )
    conditions = [
        {"type": "boolean", "column": "isExperimentItemRootSpan", "operator": "=", "value": True},
        {"type": "stringOptions", "column": "name", "operator": "any of", "value": ["a"]},
    ]
    ruled = rule(client, [made["id"]], name="shared rule", filter=conditions, enabled=False)
    older = client.get(f"/api/public/unstable/evaluators/{made['id']}").json()
    assert (older["prompt"], older["evaluationRuleCount"]) == (f"Be strict.\n\n{PROMPT}", 1)
    older = client.get(f"/api/public/unstable/evaluation-rules/{ruled['id']}").json()
    assert (older["target"], older["filter"]) == ("experiment", conditions[1:])
    assert older["evaluators"][0]["evaluator"]["id"] == made["id"]


def test_another_project_sees_none_of_it(engine: RunningEngine, client: httpx.Client) -> None:
    made = evaluator(client, "private")
    with httpx.Client(base_url=engine.base_url, auth=("pk-lf-other", "sk-lf-other")) as stranger:
        assert stranger.get(f"{EVALUATORS}/{made['id']}").status_code == 401
