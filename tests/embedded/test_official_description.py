"""Every implemented operation answers with a status and a body that the official description allows.

Requests are generated from the description, with ids of objects that exist in every other one. Operations
that the engine refuses are not checked. `OTHER_STATUS` names the statuses that the description forgets.

Which description counts: for evaluators and rules below `/v2` the official client of SDK 5
(`client_description.py`), below `/unstable` that of langfuse/langfuse 6275144
(`web/public/generated/api/openapi.yml`; `NEWER_DESCRIPTION` is the path of a copy), for all others that of
4.16.0.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from langfuse_embedded.routes import all_operations
from tests.api_reference import state_of

from .client_description import description_of_client
from .harness import RunningEngine
from .spans import send, span, span_id, trace_id

pytestmark = pytest.mark.slow

schemathesis = pytest.importorskip("schemathesis", reason="run make: schemathesis is not installed")

EXAMPLES = 8
# What the recorded server answers, against its own description: recordings win.
OTHER_STATUS = {
    "prompts_create": 201,
    "llmConnections_upsert": 201,
    "models_delete": 200,
    "legacy_scoreV1_delete": 202,
}
# Routes of the server after the release, as recorded.
NEWER = ("unstable_evaluators_", "unstable_evaluationRules_")
OF_CLIENT = ("evaluators_", "evaluationRules_")
IMPLEMENTED = [
    one.operation_id for one in all_operations() if one.operation_id and state_of(one) == "implemented"
]


@pytest.fixture(scope="module")
def dual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    """An engine that serves the legacy operations too."""
    environment = {"LANGFUSE_MIGRATION_V4_WRITE_MODE": "dual", "ADMIN_API_KEY": "admin-key-test"}
    running = RunningEngine(tmp_path_factory.mktemp("described") / "data", environment).start()
    yield running
    assert running.stop() == 0, running.log()


@pytest.fixture(scope="module")
def described(reference_dir: Path) -> dict[str, Any]:
    """The operations of the official descriptions by their id."""
    newer = os.environ.get("NEWER_DESCRIPTION")
    found = {
        name: one
        for name, one in operations_of(read(reference_dir / "openapi.yml")).items()
        if not name.startswith((*NEWER, *OF_CLIENT))
    }
    found |= operations_of(description_of_client())
    if newer:
        found |= {
            name: one for name, one in operations_of(read(Path(newer))).items() if name.startswith(NEWER)
        }
    return found


def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.load(path.read_text("utf-8"), Loader=yaml.CSafeLoader)
    return document


def operations_of(document: dict[str, Any]) -> dict[str, Any]:
    schema = schemathesis.openapi.from_dict(document)
    operations = [result.ok() for result in schema.get_all_operations()]
    return {operation.definition.raw["operationId"]: operation for operation in operations}


class Seeded:
    """One of everything in the project, with names of its own; `ids` by the names of path parameters."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        trace, root = trace_id(), span_id()
        name = f"seed-{trace[:8]}"
        attributes = {"session.id": name, "langfuse.observation.type": "generation"}
        send(client, span(trace, name, id=root, attributes=attributes))
        self._post("v2/prompts", type="text", name=name, prompt="Hello", labels=["production"])
        self._post("v2/datasets", name=name)
        item = self._post("dataset-items", datasetName=name, input={"city": "Athens"})
        run = {"runName": name, "datasetItemId": item, "traceId": trace, "observationId": root}
        self._post("dataset-run-items", **run)
        config = self._post("score-configs", name=name, dataType="NUMERIC")
        score = self._post("scores", traceId=trace, name=name, value=1)
        queue = self._post("annotation-queues", name=name, scoreConfigIds=[config])
        queue_item = self._post(f"annotation-queues/{queue}/items", objectType="TRACE", objectId=trace)
        comment = self._post(
            "comments", projectId="kosmos-support", objectType="TRACE", objectId=trace, content="Seen"
        )
        self._put_connection()
        judge = {
            "name": name,
            "type": "llm_as_judge",
            "prompt": "{{answer}}",
            "modelConfig": {"provider": "seed", "model": "gpt-4o-mini"},
        }
        mapping = [{"variable": "answer", "source": "output"}]
        output = {"dataType": "BOOLEAN"}
        described = {"reasoning": {"description": "Why"}, "score": {"description": "Is it right?"}}
        first = {**judge, "variableMapping": mapping, "outputDefinition": output}
        evaluator = self._post("v2/evaluators", **first)
        ruling = {"name": name, "enabled": False}
        rule = self._post("v2/evaluation-rules", **ruling, evaluatorAssignments=[{"evaluatorId": evaluator}])
        # What no generator finds: bodies that are accepted.
        self.bodies: dict[str, Any] = {
            "evaluators_create": first,
            "evaluators_update": {"description": "Is it right?"},
            "evaluationRules_create": {**ruling, "evaluatorAssignments": [{"evaluatorId": evaluator}]},
            "evaluationRules_update": {"sampling": 0.5},
            "unstable_evaluators_create": {
                **judge,
                "name": f"{name}-again",
                "mapping": mapping,
                "outputDefinition": output | described,
            },
            "unstable_evaluationRules_create": {
                **ruling,
                "name": f"{name}-{span_id()}",
                "target": "observation",
                "evaluator": {"name": name, "type": "llm_as_judge"},
                "mapping": mapping,
            },
            "unstable_evaluationRules_update": {"sampling": 0.5},
        }
        model = self._post("models", modelName=name, matchPattern=name, unit="TOKENS", inputPrice=1e-6)
        self.by_parameter: dict[str, Any] = {
            "promptName": name,
            "datasetName": name,
            "runName": name,
            "version": 1,
            "traceId": trace,
            "observationId": root,
            "sessionId": name,
            "scoreId": score,
            "configId": config,
            "queueId": queue,
            "itemId": queue_item,
            "commentId": comment,
            "evaluatorId": evaluator,
            "evaluationRuleId": rule,
        }
        self.by_path = {"dataset-items": item, "models": model}

    def parameters(self, path: str, names: dict[str, Any]) -> dict[str, Any]:
        """Return the parameters of a path with the ids of what was created."""
        resource = path.removeprefix("/api/public/").split("/")[0]
        return {
            name: self.by_parameter.get(name, self.by_path.get(resource, value))
            for name, value in names.items()
        }

    def _put_connection(self) -> None:
        body = {"provider": "seed", "adapter": "openai", "secretKey": "sk-test-seed-0000"}
        self._client.put("/api/public/llm-connections", json=body).raise_for_status()

    def _post(self, path: str, **body: Any) -> str:
        answer = self._client.post(f"/api/public/{path}", json=body)
        assert answer.status_code in (200, 201), f"{path}: {answer.text}"
        return str(answer.json().get("id"))


@pytest.mark.parametrize("operation_id", IMPLEMENTED)
def test_answers_are_as_described(operation_id: str, described: dict[str, Any], dual: RunningEngine) -> None:
    operation = described.get(operation_id)
    if operation is None and operation_id.startswith(NEWER):
        pytest.skip("no NEWER_DESCRIPTION: compared with recordings in test_reference_judge.py")
    if operation is None:
        pytest.skip("not in the official description")
    seeded = Seeded(dual.client)
    statuses: set[int] = set()
    documented = [
        schemathesis.checks.status_code_conformance,
        schemathesis.checks.response_schema_conformance,
    ]

    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(), existing=st.booleans())
    def run(case: Any, existing: bool) -> None:
        if existing and case.path_parameters:
            case.path_parameters = seeded.parameters(operation.path, case.path_parameters)
        if existing and operation_id in seeded.bodies:
            case.body = seeded.bodies[operation_id]
        case.headers = {"authorization": dual.keys.header}
        response = case.call(base_url=dual.base_url)
        statuses.add(response.status_code)
        if response.status_code != OTHER_STATUS.get(operation_id):
            case.validate_response(response, checks=documented)

    run()
    if operation_id in seeded.bodies:
        assert statuses & {200, 201}
