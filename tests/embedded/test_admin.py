"""What an operator asks with the admin key, and what the engine openly refuses."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from .conftest import StartEngine
from .harness import RunningEngine

ADMIN = {"Authorization": "Bearer test-admin-key"}


@pytest.fixture
def admin(start_engine: StartEngine) -> RunningEngine:
    """An engine with an admin key."""
    return start_engine(ADMIN_API_KEY="test-admin-key")


def ask(engine: RunningEngine, method: str, path: str, body: Any = None) -> httpx.Response:
    """Send a request with the admin key alone."""
    with httpx.Client(base_url=engine.base_url, verify=False) as client:  # noqa: S501
        return client.request(method, f"/api/admin/{path}", json=body, headers=ADMIN)


def test_queues_are_listed_and_empty(admin: RunningEngine) -> None:
    queues = {queue["queueName"]: queue.get("jobCount") for queue in ask(admin, "GET", "bullmq").json()}
    assert len(queues) == 39
    assert queues["cloud-usage-metering-queue"] is None
    assert queues["otel-ingestion-queue"] == {
        "active": 0,
        "completed": 0,
        "delayed": 0,
        "failed": 0,
        "paused": 0,
        "prioritized": 0,
        "waiting": 0,
        "waiting-children": 0,
    }


def test_there_are_no_jobs_to_retry_or_remove(admin: RunningEngine) -> None:
    retry = ask(admin, "POST", "bullmq", {"action": "retry", "queueNames": ["trace-delete"]})
    assert (retry.status_code, retry.json()) == (200, {"message": "Retried all jobs"})
    body = {"action": "remove", "queueNames": [], "bullStatus": "failed"}
    assert ask(admin, "POST", "bullmq", body).json() == {"message": "Removed all jobs"}
    unknown = ask(admin, "POST", "bullmq", {"action": "explode"})
    assert (unknown.status_code, unknown.json()["error"]["name"]) == (400, "ZodError")


def test_deleted_keys_stop_working_at_once(admin: RunningEngine) -> None:
    athena = admin.provision("athena")
    with admin.client_for(athena) as client:
        assert client.get("/api/public/projects").status_code == 200
        kept = ask(admin, "POST", "api-keys", {"action": "invalidate", "projectIds": [athena.project_id]})
        assert kept.json() == {"message": "API keys invalidated"}
        assert client.get("/api/public/projects").status_code == 200
        gone = ask(admin, "POST", "api-keys", {"action": "delete", "projectIds": [athena.project_id]})
        assert gone.json() == {"message": "API keys deleted"}
        assert client.get("/api/public/projects").status_code == 401
    assert admin.client.get("/api/public/projects").status_code == 200
    forgotten = ask(admin, "POST", "api-keys", {"action": "invalidate-all"}).json()
    assert forgotten == {"message": "All cached API keys invalidated", "invalidatedCount": 1}


def test_the_admin_key_opens_the_connections_of_any_project(admin: RunningEngine) -> None:
    athena = admin.provision("athena")
    headers = {
        **ADMIN,
        "x-langfuse-admin-api-key": "test-admin-key",
        "x-langfuse-project-id": athena.project_id,
    }
    body = {"provider": "p", "adapter": "openai", "secretKey": "sk-test"}
    with httpx.Client(base_url=admin.base_url, headers=headers, verify=False) as client:  # noqa: S501
        assert client.put("/api/public/llm-connections", json=body).status_code == 201
        assert client.get("/api/public/v2/prompts").status_code == 401
    with admin.client_for(athena) as client:
        assert len(client.get("/api/public/llm-connections").json()["data"]) == 1
    assert admin.client.get("/api/public/llm-connections").json()["data"] == []


def test_a_project_key_is_no_admin_key(client: httpx.Client) -> None:
    for method, path in (("GET", "bullmq"), ("POST", "api-keys"), ("POST", "ingestion-replay")):
        assert client.request(method, f"/api/admin/{path}").status_code == 401


def test_what_the_engine_has_not_is_refused_with_the_reason(
    admin: RunningEngine, client: httpx.Client
) -> None:
    replay = ask(admin, "POST", "ingestion-replay", {"keys": ["k"]})
    assert (replay.status_code, "keeps no event files" in replay.json()["error"]) == (501, True)
    mcp = client.get("/api/public/mcp")
    assert (mcp.status_code, mcp.json()["error"]) == (501, "NotImplementedError")
    skills = client.get("/api/public/unstable/skills/files/content")
    assert (skills.status_code, skills.json()["code"]) == (501, "internal_error")
    assert "stores no skills" in skills.json()["message"]


def test_feedback_stays_on_the_machine(client: httpx.Client) -> None:
    body = {"targetType": "docs", "target": "/docs", "feedback": "good"}
    answer = client.post("/api/public/feedback", json=body)
    assert (answer.status_code, answer.json()["message"]) == (
        409,
        "Feedback submission is not configured for this deployment",
    )
    assert client.post("/api/public/feedback", json={**body, "referenceUrl": "file:///x"}).status_code == 400
