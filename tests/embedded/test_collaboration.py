"""Comments and annotation queues."""

from __future__ import annotations

import sqlite3
from typing import Any
from uuid import uuid4

import httpx
import pytest

from .harness import RunningEngine

COMMENTS = "/api/public/comments"
QUEUES = "/api/public/annotation-queues"


@pytest.fixture(scope="module")
def user_id(engine: RunningEngine) -> str:
    """The bootstrap user, who belongs to the organization."""
    with sqlite3.connect(f"file:{engine.data_dir / 'state.db'}?mode=ro", uri=True) as connection:
        row = connection.execute("select id from users").fetchone()
    connection.close()
    return str(row[0])


@pytest.fixture(scope="module")
def span(client: httpx.Client) -> dict[str, Any]:
    """An observation of a session, stored."""
    sent = {
        "traceId": uuid4().hex,
        "spanId": uuid4().hex[:16],
        "name": "answer",
        "startTimeUnixNano": "1795228130293476096",
        "endTimeUnixNano": "1795228132693475840",
        "attributes": [{"key": "session.id", "value": {"stringValue": "zeus-session"}}],
    }
    export = {"resourceSpans": [{"scopeSpans": [{"spans": [sent]}]}]}
    assert client.post("/api/public/otel/v1/traces", json=export).status_code == 200
    return sent


def comment(client: httpx.Client, object_type: str, object_id: str, **rest: Any) -> httpx.Response:
    """Write a comment."""
    body = {"projectId": "ignored", "objectType": object_type, "objectId": object_id, "content": " good "}
    return client.post(COMMENTS, json={**body, **rest})


@pytest.fixture(scope="module")
def queue(client: httpx.Client) -> dict[str, Any]:
    """A queue with one score config."""
    config = client.post("/api/public/score-configs", json={"name": "quality", "dataType": "NUMERIC"}).json()
    body = {"name": "review", "description": "d", "scoreConfigIds": [config["id"]]}
    created: dict[str, Any] = client.post(QUEUES, json=body).json()
    return created


def test_what_exists_can_be_commented(client: httpx.Client, span: dict[str, Any], user_id: str) -> None:
    prompt = client.post("/api/public/v2/prompts", json={"name": "commented", "prompt": "x"}).json()
    for object_type, object_id in (
        ("TRACE", span["traceId"]),
        ("OBSERVATION", span["spanId"]),
        ("SESSION", "zeus-session"),
        ("PROMPT", prompt["id"]),
    ):
        answer = comment(client, object_type, object_id, authorUserId=user_id)
        assert answer.status_code == 200, answer.text
        read = client.get(f"{COMMENTS}/{answer.json()['id']}").json()
        assert (
            read["objectType"],
            read["objectId"],
            read["content"],
            read["authorUserId"],
            read["projectId"],
        ) == (
            object_type,
            object_id,
            "good",
            user_id,
            "kosmos-support",
        )


def test_comments_are_listed_by_object_and_author(client: httpx.Client, span: dict[str, Any]) -> None:
    written = comment(client, "TRACE", span["traceId"], content="first").json()["id"]
    query = {"objectType": "TRACE", "objectId": span["traceId"]}
    listed = client.get(COMMENTS, params=query).json()
    assert written in [row["id"] for row in listed["data"]]
    assert listed["meta"]["totalItems"] == len(listed["data"])
    assert client.get(COMMENTS, params={"authorUserId": "nobody"}).json()["data"] == []


@pytest.mark.parametrize(
    ("object_type", "message"),
    [
        ("TRACE", "Reference object, TRACE: nowhere not found. Skipping comment creation."),
        ("OBSERVATION", "Observation with id nowhere not found"),
        ("SESSION", "Reference object, SESSION: nowhere not found. Skipping comment creation."),
        ("PROMPT", "Reference object, PROMPT: nowhere not found. Skipping comment creation."),
    ],
)
def test_what_does_not_exist_cannot_be_commented(
    client: httpx.Client, object_type: str, message: str
) -> None:
    answer = comment(client, object_type, "nowhere")
    assert (answer.status_code, answer.json()["message"]) == (404, message)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"content": "  "}, 400),
        ({"content": "x" * 5001}, 400),
        ({"objectType": "SCORE"}, 400),
        ({"extra": 1}, 400),
        ({"authorUserId": "stranger"}, 400),
    ],
)
def test_a_comment_that_does_not_fit_is_refused(
    client: httpx.Client, span: dict[str, Any], changes: dict[str, Any], status: int
) -> None:
    assert comment(client, "TRACE", span["traceId"], **changes).status_code == status


def test_a_list_by_object_needs_its_type(client: httpx.Client) -> None:
    answer = client.get(COMMENTS, params={"objectId": "x"})
    assert answer.json()["error"][0]["message"] == "objectType is required when objectId is provided"
    assert client.get(f"{COMMENTS}/nope").json()["message"] == "Comment not found within authorized project"


def test_a_queue_is_created_once_for_existing_score_configs(
    client: httpx.Client, queue: dict[str, Any]
) -> None:
    assert client.get(f"{QUEUES}/{queue['id']}").json() == queue
    again = client.post(QUEUES, json={"name": "review", "scoreConfigIds": queue["scoreConfigIds"]})
    assert (again.status_code, again.json()["message"]) == (400, "A queue with this name already exists.")
    unknown = client.post(QUEUES, json={"name": "other", "scoreConfigIds": ["nope"]})
    assert unknown.json()["message"] == (
        "At least one of the score config IDs cannot be found for the given project."
    )
    assert client.post(QUEUES, json={"name": "none", "scoreConfigIds": []}).status_code == 400
    assert client.get(f"{QUEUES}/nope").json()["message"] == "Annotation queue not found"


def test_items_go_through_a_queue(client: httpx.Client, queue: dict[str, Any]) -> None:
    items = f"{QUEUES}/{queue['id']}/items"
    item = client.post(items, json={"objectId": "t1", "objectType": "TRACE"}).json()
    assert (item["status"], item["completedAt"]) == ("PENDING", None)
    done = client.post(items, json={"objectId": "t2", "objectType": "SESSION", "status": "COMPLETED"}).json()
    assert done["completedAt"] == done["createdAt"]
    pending = client.get(items, params={"status": "PENDING"}).json()
    assert [row["id"] for row in pending["data"]] == [item["id"]]
    assert client.get(items).json()["meta"]["totalItems"] == 2
    completed = client.patch(f"{items}/{item['id']}", json={"status": "COMPLETED"}).json()
    assert (completed["status"], completed["completedAt"]) == ("COMPLETED", completed["updatedAt"])
    # Going back keeps the time of completion, as on the server.
    back = client.patch(f"{items}/{item['id']}", json={"status": "PENDING"}).json()
    assert (back["status"], back["completedAt"]) == ("PENDING", completed["completedAt"])
    assert client.get(f"{items}/{item['id']}").json() == back
    deleted = client.delete(f"{items}/{item['id']}").json()
    assert deleted == {"success": True, "message": "Annotation queue item deleted successfully"}
    assert client.delete(f"{items}/{item['id']}").json()["message"] == "Annotation queue item not found"


def test_a_queue_is_assigned_to_users_of_the_organization(
    client: httpx.Client, queue: dict[str, Any], user_id: str
) -> None:
    path = f"{QUEUES}/{queue['id']}/assignments"
    expected = {"userId": user_id, "projectId": "kosmos-support", "queueId": queue["id"]}
    for _ in range(2):
        assert client.post(path, json={"userId": user_id}).json() == expected
    stranger = client.post(path, json={"userId": "stranger"})
    assert (stranger.status_code, stranger.json()["message"]) == (
        404,
        "User not found or not authorized for this project",
    )
    for _ in range(2):
        assert client.request("DELETE", path, json={"userId": user_id}).json() == {"success": True}
