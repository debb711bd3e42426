"""Keys of one project see nothing of another: every read and change of prompts, datasets, media is tried."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from langfuse_embedded.routes import (
    annotation_queues,
    comments,
    dashboard_widgets,
    dashboards,
    dataset_items,
    dataset_runs,
    datasets,
    llm_connections,
    media,
    prompts,
)
from langfuse_embedded.routes.operations import Operation

from .harness import RunningEngine
from .test_media import Upload

_MODULES = (
    prompts,
    datasets,
    dataset_items,
    dataset_runs,
    media,
    comments,
    annotation_queues,
    llm_connections,
    dashboard_widgets,
    dashboards,
)
_OPERATIONS: list[Operation] = [
    operation
    for module in _MODULES
    for operation in module.OPERATIONS
    if operation.path.startswith("/api/public/")
]
_SECRET = "kosmos-private"


@pytest.fixture(scope="module")
def dual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    """An engine with two projects in which legacy reads answer too."""
    running = RunningEngine(
        tmp_path_factory.mktemp("isolation") / "data", {"LANGFUSE_MIGRATION_V4_WRITE_MODE": "dual"}
    ).start()
    yield running
    assert running.stop() == 0, running.log()


@pytest.fixture(scope="module")
def stranger(dual: RunningEngine) -> Iterator[httpx.Client]:
    """A client with the keys of the other project."""
    with dual.client_for(dual.provision("athena")) as client:
        yield client


@pytest.fixture(scope="module")
def names(dual: RunningEngine) -> dict[str, str]:
    """One of everything in the first project: the path parameters that lead to it."""
    client = dual.client

    def post(path: str, **body: Any) -> dict[str, Any]:
        answer = client.post(f"/api/public/{path}", json=body)
        assert answer.is_success, answer.text
        created: dict[str, Any] = answer.json()
        return created

    prompt = post("v2/prompts", name=_SECRET, prompt=_SECRET, labels=["production"])
    dataset = post("v2/datasets", name=_SECRET)
    item = post("dataset-items", datasetName=_SECRET, input=_SECRET)
    post("dataset-run-items", runName=_SECRET, datasetItemId=item["id"], traceId="a" * 32)
    config = post("score-configs", name="quality", dataType="NUMERIC")
    queue = post("annotation-queues", name=_SECRET, scoreConfigIds=[config["id"]])
    queued = post(f"annotation-queues/{queue['id']}/items", objectId=_SECRET, objectType="TRACE")
    comment = post("comments", projectId="x", objectType="PROMPT", objectId=prompt["id"], content=_SECRET)
    connection = client.put(
        "/api/public/llm-connections", json={"provider": _SECRET, "adapter": "openai", "secretKey": "sk-test"}
    ).json()
    widget = post(
        "unstable/dashboard-widgets",
        name=_SECRET,
        view="observations",
        dimensions=[],
        metrics=[{"measure": "count", "agg": "count"}],
        filters=[],
        chartType="NUMBER",
    )
    dashboard = post("unstable/dashboards", name=_SECRET)
    placement = post(
        f"unstable/dashboards/{dashboard['id']}/placements", type="widget", widgetId=widget["id"]
    )
    return {
        "promptName": _SECRET,
        "name": _SECRET,
        "version": "1",
        "datasetName": _SECRET,
        "runName": _SECRET,
        "mediaId": Upload().store(client),
        "commentId": comment["id"],
        "queueId": queue["id"],
        "itemId": queued["id"],
        "widgetId": widget["id"],
        "dashboardId": dashboard["id"],
        "placementId": placement["id"],
        "id": item["id"],
        "connection": connection["id"],
        "dataset": dataset["id"],
    }


def path_of(operation: Operation, names: dict[str, str]) -> str:
    """Return the path with the names of the first project in it."""
    path = operation.path
    if operation.path.startswith("/api/public/llm-connections/"):
        path = path.replace("{id}", names["connection"])
    for name, value in names.items():
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    assert "{" not in path, f"the test does not know a parameter of {operation.path}"
    return path


def query_of(operation: Operation, names: dict[str, str]) -> dict[str, str] | None:
    """Return the parameters that a read needs to lead to what is in the first project."""
    if "run-items" in operation.path:
        return {"datasetId": names["dataset"], "runName": names["runName"]}
    if operation.path == "/api/public/prompts":
        return {"name": names["promptName"]}
    return None


@pytest.mark.parametrize(
    "operation",
    [one for one in _OPERATIONS if one.method == "GET"],
    ids=lambda operation: operation.operation_id or operation.path,
)
def test_a_read_with_a_key_of_another_project_finds_nothing(
    operation: Operation, dual: RunningEngine, stranger: httpx.Client, names: dict[str, str]
) -> None:
    path, query = path_of(operation, names), query_of(operation, names)
    mine = dual.client.get(path, params=query)
    assert mine.status_code == 200, mine.text
    other = stranger.get(path, params=query)
    if other.status_code == 200:
        assert other.json()["data"] == []
        assert other.json()["meta"]["totalItems"] == 0
        assert mine.json()["data"] != []
    else:
        assert other.status_code == 404


@pytest.mark.parametrize(
    "operation",
    [one for one in _OPERATIONS if one.method in ("PATCH", "DELETE")],
    ids=lambda operation: operation.operation_id,
)
def test_a_change_with_a_key_of_another_project_changes_nothing(
    operation: Operation, dual: RunningEngine, stranger: httpx.Client, names: dict[str, str]
) -> None:
    bodies = {
        "promptVersion_update": {"newLabels": ["stolen"]},
        "media_patch": {"uploadedAt": "2026-01-01T00:00:00Z", "uploadHttpStatus": 500},
        "annotationQueues_updateQueueItem": {"status": "COMPLETED"},
        "annotationQueues_deleteQueueAssignment": {"userId": "x"},
        "unstable_dashboardWidgets_update": {"name": "stolen"},
        "unstable_dashboards_update": {"name": "stolen"},
        "unstable_dashboards_updatePlacement": {"x": 1},
    }
    answer = stranger.request(
        operation.method, path_of(operation, names), json=bodies.get(operation.operation_id)
    )
    assert answer.status_code == 404, answer.text
    for read in _OPERATIONS:
        if read.method == "GET":
            mine = dual.client.get(path_of(read, names), params=query_of(read, names))
            assert mine.status_code == 200, read.path
            assert "stolen" not in mine.text


def test_the_same_names_in_two_projects_are_two_things(dual: RunningEngine, names: dict[str, str]) -> None:
    keys = dual.provision("hermes")
    with dual.client_for(keys) as client:
        body = {"name": names["name"], "prompt": "mine"}
        assert client.post("/api/public/v2/prompts", json=body).json()["version"] == 1
        assert client.post("/api/public/v2/datasets", json={"name": names["datasetName"]}).status_code == 200
        item = {"datasetName": names["datasetName"], "id": names["id"], "input": "mine"}
        assert client.post("/api/public/dataset-items", json=item).json()["input"] == "mine"
    theirs = dual.client.get(f"/api/public/dataset-items/{names['id']}").json()
    assert theirs["input"] == _SECRET
