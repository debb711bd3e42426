"""Every implemented operation answers with a status and a body that the official description allows.

Requests are generated from the description, with ids of objects that exist in every other one. Operations
that the engine refuses are not checked. `OTHER_STATUS` names the statuses that the description forgets.
"""

from __future__ import annotations

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
# The description is that of the release; these are the routes of the server after it, as recorded.
NEWER = ("unstable_evaluators_", "unstable_evaluationRules_")
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
    """The operations of the official description by their id."""
    document = yaml.load((reference_dir / "openapi.yml").read_text("utf-8"), Loader=yaml.CSafeLoader)
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
        }
        self.by_path = {"dataset-items": item, "models": model}

    def parameters(self, path: str, names: dict[str, Any]) -> dict[str, Any]:
        """Return the parameters of a path with the ids of what was created."""
        resource = path.removeprefix("/api/public/").split("/")[0]
        return {
            name: self.by_parameter.get(name, self.by_path.get(resource, value))
            for name, value in names.items()
        }

    def _post(self, path: str, **body: Any) -> str:
        answer = self._client.post(f"/api/public/{path}", json=body)
        assert answer.status_code in (200, 201), f"{path}: {answer.text}"
        return str(answer.json().get("id"))


@pytest.mark.parametrize("operation_id", IMPLEMENTED)
def test_answers_are_as_described(operation_id: str, described: dict[str, Any], dual: RunningEngine) -> None:
    if operation_id.startswith(NEWER):
        pytest.skip("newer than the description: compared with recordings in test_reference_judge.py")
    operation = described.get(operation_id)
    if operation is None:
        pytest.skip("not in the official description")
    seeded = Seeded(dual.client)
    documented = [
        schemathesis.checks.status_code_conformance,
        schemathesis.checks.response_schema_conformance,
    ]

    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(), existing=st.booleans())
    def run(case: Any, existing: bool) -> None:
        if existing and case.path_parameters:
            case.path_parameters = seeded.parameters(operation.path, case.path_parameters)
        case.headers = {"authorization": dual.keys.header}
        response = case.call(base_url=dual.base_url)
        if response.status_code != OTHER_STATUS.get(operation_id):
            case.validate_response(response, checks=documented)

    run()
