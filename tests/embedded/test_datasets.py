"""Datasets, items in versions, schemas and runs."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest

from .conftest import StartEngine

DATASETS = "/api/public/v2/datasets"
ITEMS = "/api/public/dataset-items"
RUN_ITEMS = "/api/public/dataset-run-items"
QUESTION = {
    "type": "object",
    "properties": {"q": {"type": "string"}},
    "required": ["q"],
    "additionalProperties": False,
}


def dataset(client: httpx.Client, name: str = "", **rest: Any) -> dict[str, Any]:
    """Create or change a dataset and return it."""
    answer = client.post(DATASETS, json={"name": name or f"set-{uuid4().hex[:8]}", **rest})
    assert answer.status_code == 200, answer.text
    created: dict[str, Any] = answer.json()
    return created


def item(client: httpx.Client, name: str, value: Any = "question", **rest: Any) -> dict[str, Any]:
    """Write an item and return it."""
    answer = client.post(ITEMS, json={"datasetName": name, "input": value, **rest})
    assert answer.status_code == 200, answer.text
    written: dict[str, Any] = answer.json()
    return written


def listed(client: httpx.Client, **query: Any) -> list[dict[str, Any]]:
    """Return the items of a list."""
    answer = client.get(ITEMS, params=query)
    assert answer.status_code == 200, answer.text
    data: list[dict[str, Any]] = answer.json()["data"]
    return data


def test_a_second_post_changes_what_it_names_and_keeps_the_rest(client: httpx.Client) -> None:
    first = dataset(client, description="golden", metadata={"owner": "acme"}, inputSchema=QUESTION)
    changed = dataset(client, first["name"], description="again", metadata=None)
    assert changed["id"] == first["id"]
    assert (changed["description"], changed["metadata"], changed["inputSchema"]) == (
        "again",
        {"owner": "acme"},
        QUESTION,
    )
    assert dataset(client, first["name"], inputSchema=None)["inputSchema"] is None
    assert client.get(f"{DATASETS}/{first['name']}").json()["description"] == "again"


def test_a_dataset_in_a_folder_is_read_with_an_encoded_slash(client: httpx.Client) -> None:
    name = f"routing/{uuid4().hex[:8]}"
    created = dataset(client, name)
    assert client.get(f"{DATASETS}/{quote(name, safe='')}").json()["id"] == created["id"]


def test_a_name_with_a_slash_at_its_end_is_refused_with_the_reason(client: httpx.Client) -> None:
    answer = client.post(DATASETS, json={"name": "folder/"})
    assert answer.status_code == 400
    message = answer.json()["message"]
    assert message.startswith("Dataset name not valid. [\n  {")
    assert "Name cannot end with a slash" in message


def test_datasets_are_listed_newest_first_page_by_page(client: httpx.Client) -> None:
    names = [dataset(client)["name"] for _ in range(3)]
    total = client.get(DATASETS, params={"limit": 1}).json()["meta"]["totalItems"]
    seen = [
        client.get(DATASETS, params={"limit": 1, "page": page}).json()["data"][0]["name"]
        for page in (1, 2, 3)
    ]
    assert seen == names[::-1]
    beyond = client.get(DATASETS, params={"limit": 1, "page": total + 1}).json()
    assert (beyond["data"], beyond["meta"]["totalPages"]) == ([], total)
    assert client.get(DATASETS, params={"limit": 101}).status_code == 400
    assert client.get(DATASETS, params={"page": ""}).json()["meta"]["page"] == 1


def test_an_item_written_again_keeps_what_is_left_out(client: httpx.Client) -> None:
    name = dataset(client)["name"]
    identifier = f"item-{uuid4().hex[:8]}"
    item(client, name, {"q": 1}, id=identifier, expectedOutput="a", metadata={"k": [1]})
    again = item(client, name, None, id=identifier, expectedOutput="b")
    assert (again["input"], again["expectedOutput"], again["metadata"]) == ({"q": 1}, "b", {"k": [1]})
    assert [one["expectedOutput"] for one in listed(client, datasetName=name)] == ["b"]


def test_a_list_can_be_read_as_it_was_at_a_time(client: httpx.Client) -> None:
    name = dataset(client)["name"]
    old = item(client, name, "old", id=f"item-{uuid4().hex[:8]}")
    new = item(client, name, "new", id=old["id"])
    assert new["createdAt"] > old["createdAt"]
    assert [one["input"] for one in listed(client, datasetName=name, version=old["createdAt"])] == ["old"]
    assert client.delete(f"{ITEMS}/{old['id']}").json() == {"message": "Dataset item successfully deleted"}
    assert listed(client, datasetName=name) == []
    assert client.get(f"{ITEMS}/{old['id']}").status_code == 404
    assert [one["input"] for one in listed(client, datasetName=name, version=new["createdAt"])] == ["new"]
    revived = item(client, name, "revived", id=old["id"])
    assert (revived["input"], revived["expectedOutput"]) == ("revived", None)


def test_a_time_needs_a_dataset_and_must_be_a_date(client: httpx.Client) -> None:
    answer = client.get(ITEMS, params={"version": "2026-01-01T00:00:00Z"})
    assert (
        answer.json()["error"][0]["message"] == "datasetName is required when version parameter is provided"
    )
    answer = client.get(ITEMS, params={"version": "yesterday", "datasetName": "x"})
    assert answer.json()["error"][0]["message"] == "Invalid input: expected date, received Date"


def test_archived_items_are_read_by_id_and_not_listed(client: httpx.Client) -> None:
    name = dataset(client)["name"]
    archived = item(client, name, status="ARCHIVED", sourceTraceId="t" * 32)
    kept = item(client, name, sourceTraceId="t" * 32, sourceObservationId="o" * 16)
    assert client.get(f"{ITEMS}/{archived['id']}").json()["status"] == "ARCHIVED"
    assert [one["id"] for one in listed(client, datasetName=name)] == [kept["id"]]
    assert listed(client, datasetName=name, sourceObservationId="other") == []


def test_an_item_cannot_move_to_another_dataset(client: httpx.Client) -> None:
    first, second = dataset(client), dataset(client)
    written = item(client, first["name"])
    answer = client.post(ITEMS, json={"datasetName": second["name"], "id": written["id"], "input": 1})
    assert answer.status_code == 409
    assert answer.json()["message"].startswith(
        f"Dataset item id {written['id']} already exists in another dataset (id {first['id']})"
    )


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"datasetName": "nowhere", "input": 1}, 404, "Dataset nowhere not found for project kosmos-support"),
        ({"input": 1}, 400, "Invalid request data"),
        ({"datasetName": "x", "input": 1, "id": ""}, 400, "Invalid request data"),
        ({"datasetName": "x", "input": 1, "status": "OLD"}, 400, "Invalid request data"),
    ],
)
def test_an_item_that_cannot_be_written_is_refused(
    client: httpx.Client, body: dict[str, Any], status: int, message: str
) -> None:
    answer = client.post(ITEMS, json=body)
    assert (answer.status_code, answer.json()["message"]) == (status, message)


def test_a_new_item_without_input_is_refused(client: httpx.Client) -> None:
    answer = client.post(ITEMS, json={"datasetName": dataset(client)["name"], "expectedOutput": "a"})
    message = "Dataset item validation failed: Dataset item input cannot be null"
    assert (answer.status_code, answer.json()["message"]) == (400, message)


def test_values_are_stored_as_the_server_stores_them(client: httpx.Client) -> None:
    name = dataset(client)["name"]
    written = item(
        client, name, '{"n": 1}', expectedOutput="", metadata={"a": "x\u0000\u0007y\n", "b": [0, False]}
    )
    assert (written["input"], written["expectedOutput"]) == ({"n": 1}, None)
    assert written["metadata"] == {"a": "xy\n", "b": [0, False]}


def test_items_must_fit_the_schema_of_their_dataset(client: httpx.Client) -> None:
    name = dataset(client, inputSchema=QUESTION, expectedOutputSchema={"type": "string", "minLength": 2})[
        "name"
    ]
    item(client, name, {"q": "why"}, expectedOutput="because")
    answer = client.post(ITEMS, json={"datasetName": name, "input": {"x": 1}, "expectedOutput": "a"})
    assert answer.status_code == 400
    assert answer.json()["message"].removeprefix("Dataset item validation failed: ").split("; ") == [
        "Input validation failed: must have required property 'q'",
        "Expected output validation failed: must NOT have fewer than 2 characters",
    ]
    assert len(listed(client, datasetName=name)) == 1


def test_a_schema_that_stored_items_do_not_fit_is_refused(client: httpx.Client) -> None:
    name = dataset(client)["name"]
    bad = item(client, name, "text")
    item(client, name, {"q": "why"})
    answer = client.post(DATASETS, json={"name": name, "inputSchema": QUESTION})
    message: str = answer.json()["message"]
    assert message.startswith("Schema validation failed for 1 item(s). Details: ")
    assert json.loads(message.partition("Details: ")[2]) == [
        {
            "datasetItemId": bad["id"],
            "field": "input",
            "errors": [{"path": "/", "message": "must be object", "keyword": "type"}],
        }
    ]
    assert client.get(f"{DATASETS}/{name}").json()["inputSchema"] is None


@pytest.mark.parametrize(
    "schema", [{"type": "nope"}, {"type": "object", "required": ["q"]}, {"unknown": 1}, [], "text"]
)
def test_a_schema_that_the_server_would_refuse_is_refused(client: httpx.Client, schema: Any) -> None:
    answer = client.post(DATASETS, json={"name": "never", "inputSchema": schema})
    assert answer.status_code == 400
    assert answer.json()["error"][0]["path"] == ["inputSchema"]
    assert client.get(f"{DATASETS}/never").status_code == 404


def test_events_only_answers_a_run_item_with_the_id_that_the_sdk_derives(client: httpx.Client) -> None:
    created = dataset(client)
    written = item(client, created["name"])
    body = {"runName": "räun 1", "datasetItemId": written["id"], "traceId": "f" * 32}
    answer = client.post(RUN_ITEMS, json=body).json()
    seed = json.dumps(
        ["langfuse-experiment-v1", "kosmos-support", created["id"], "räun 1"],
        separators=(",", ":"),
        ensure_ascii=False,
    )
    assert answer["datasetRunId"] == hashlib.sha256(seed.encode()).hexdigest()[:16]
    assert (answer["traceId"], answer["observationId"], answer["datasetRunName"]) == (
        "f" * 32,
        None,
        "räun 1",
    )
    assert client.get(f"/api/public/datasets/{created['name']}/runs").status_code == 404


def test_a_run_item_needs_an_item_and_something_to_link(client: httpx.Client) -> None:
    body = {"runName": "r", "datasetItemId": "nowhere", "traceId": "f" * 32}
    assert client.post(RUN_ITEMS, json=body).json()["message"] == "Dataset item not found"
    answer = client.post(RUN_ITEMS, json={"runName": "r", "datasetItemId": "nowhere"})
    assert answer.json()["error"][0]["message"] == "observationId or traceId must be provided"


@pytest.fixture
def dual(start_engine: StartEngine) -> httpx.Client:
    """A client of an engine that stores dataset runs."""
    return start_engine(LANGFUSE_MIGRATION_V4_WRITE_MODE="dual").client


def test_dual_mode_stores_runs_with_their_items(dual: httpx.Client) -> None:
    created = dataset(dual, "folder/set")
    items = [item(dual, created["name"], number) for number in range(3)]
    for written in items:
        answer = dual.post(
            RUN_ITEMS,
            json={
                "runName": "first run",
                "runDescription": "d",
                "metadata": [1],
                "datasetItemId": written["id"],
                "traceId": "a" * 32,
                "observationId": "b" * 16,
            },
        )
        assert answer.status_code == 200
    runs = f"/api/public/datasets/{quote(created['name'], safe='')}/runs"
    (run,) = dual.get(runs).json()["data"]
    assert (run["name"], run["description"], run["metadata"], run["datasetName"]) == (
        "first run",
        "d",
        {"metadata": [1]},
        "folder/set",
    )
    detail = dual.get(f"{runs}/first%20run").json()
    assert {one["datasetItemId"] for one in detail["datasetRunItems"]} == {one["id"] for one in items}
    paged = dual.get(
        RUN_ITEMS, params={"datasetId": created["id"], "runName": "first run", "limit": 2, "page": 2}
    ).json()
    assert (len(paged["data"]), paged["meta"]["totalItems"]) == (1, 3)
    assert dual.delete(f"{runs}/first%20run").json() == {"message": "Dataset run successfully deleted"}
    assert dual.get(f"{runs}/first%20run").json()["message"] == "Dataset run not found"
    assert dual.get(runs).json()["data"] == []


def test_dual_mode_finds_the_trace_of_an_observation(dual: httpx.Client) -> None:
    written = item(dual, dataset(dual)["name"])
    span = {
        "traceId": "0af7651916cd43dd8448eb211c80319c",
        "spanId": "b7ad6b7169203331",
        "name": "answer",
        "startTimeUnixNano": "1795228130293476096",
        "endTimeUnixNano": "1795228132693475840",
    }
    export = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
    assert dual.post("/api/public/otel/v1/traces", json=export).status_code == 200
    body = {"runName": "r", "datasetItemId": written["id"], "observationId": span["spanId"]}
    assert dual.post(RUN_ITEMS, json=body).json()["traceId"] == span["traceId"]
    missing = dual.post(RUN_ITEMS, json={**body, "observationId": "0000000000000001"})
    assert (missing.status_code, missing.json()["message"]) == (
        404,
        "Observation with id 0000000000000001 not found",
    )
