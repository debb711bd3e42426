"""Who gets in, who does not, and what is answered to requests that no route serves."""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING

import httpx
import pytest
from langfuse.api import LangfuseAPI
from langfuse.api.commons.errors import UnauthorizedError

from smoke_tests.helpers.otlp import PATH, export_request, new_trace_id, span

if TYPE_CHECKING:
    from langfuse import Langfuse

    from smoke_tests.helpers.server import Server
    from smoke_tests.helpers.target import Target

WRONG_CREDENTIALS = "Invalid credentials. Confirm that you've configured the correct host."
READS = ["/api/public/projects", "/api/public/v2/observations", "/api/public/v3/scores"]


def test_the_sdk_finds_its_project_with_these_keys(langfuse: Langfuse) -> None:
    assert langfuse.auth_check() is True
    (project,) = langfuse.api.projects.get().data
    assert project.id
    assert project.name


def test_the_link_to_a_trace_names_the_project_and_the_trace(langfuse: Langfuse, server: Server) -> None:
    trace_id = new_trace_id()
    (project,) = server.read("/api/public/projects")["data"]
    url = langfuse.get_trace_url(trace_id=trace_id)
    assert url == f"{server.target.base_url}/project/{project['id']}/traces/{trace_id}"


def test_health_and_readiness_need_no_key(server: Server) -> None:
    health = server.anonymous.get("/api/public/health")
    assert (health.status_code, health.json()["status"]) == (200, "OK")
    assert health.json()["version"].startswith("4.")
    assert server.anonymous.get("/api/public/ready").status_code == 200


def test_the_sdk_raises_unauthorized_for_a_wrong_key(target: Target) -> None:
    with httpx.Client() as client:
        api = LangfuseAPI(
            base_url=target.base_url,
            username=f"pk-lf-test-{secrets.token_hex(8)}",
            password=f"sk-lf-test-{secrets.token_hex(8)}",
            httpx_client=client,
        )
        with pytest.raises(UnauthorizedError):
            api.projects.get()


@pytest.mark.parametrize("path", READS)
def test_a_read_with_a_wrong_secret_key_is_refused(server: Server, path: str) -> None:
    wrong = (server.target.public_key, f"sk-lf-test-{secrets.token_hex(8)}")
    answer = server.anonymous.get(path, auth=wrong)
    assert (answer.status_code, answer.json()["message"]) == (401, WRONG_CREDENTIALS)


@pytest.mark.parametrize("path", READS)
def test_a_read_without_a_key_is_refused(server: Server, path: str) -> None:
    answer = server.anonymous.get(path)
    assert (answer.status_code, answer.json()["message"]) == (401, "No authorization header")


def test_a_malformed_authorization_header_is_refused(server: Server) -> None:
    answer = server.anonymous.get("/api/public/projects", headers={"Authorization": "Basics nonsense"})
    assert answer.status_code == 401
    assert answer.json()["message"].startswith("Invalid authorization header")


def test_a_basic_header_without_a_colon_is_refused(server: Server) -> None:
    header = f"Basic {base64.b64encode(b'pk-lf-test-only').decode()}"
    answer = server.anonymous.get("/api/public/projects", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.json()["message"].startswith("Invalid authorization header")


def test_a_public_key_alone_may_not_read(server: Server) -> None:
    header = {"Authorization": f"Bearer {server.target.public_key}"}
    answer = server.anonymous.get("/api/public/v2/observations", headers=header)
    assert answer.status_code == 403
    assert "insufficient permissions" in answer.json()["message"]


def test_spans_sent_with_a_wrong_key_are_refused_and_not_stored(server: Server) -> None:
    trace_id = new_trace_id()
    wrong = (f"pk-lf-test-{secrets.token_hex(8)}", f"sk-lf-test-{secrets.token_hex(8)}")
    body = export_request(span(trace_id, "never-stored", {}))
    answer = server.anonymous.post(PATH, json=body, auth=wrong)
    assert (answer.status_code, answer.json()["message"]) == (401, WRONG_CREDENTIALS)
    assert server.observations(traceId=trace_id) == []


def test_an_unknown_path_is_not_found(server: Server) -> None:
    assert server.http.get("/api/public/v2/no-such-thing").status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "/api/public/scores"), ("POST", "/api/public/v2/observations"), ("GET", PATH)],
)
def test_a_known_path_with_a_wrong_method_is_answered_405(server: Server, method: str, path: str) -> None:
    answer = server.http.request(method, path)
    assert (answer.status_code, answer.json()["message"]) == (405, "Method not allowed")


def test_a_legacy_read_says_that_it_is_gone(server: Server) -> None:
    answer = server.http.get("/api/public/traces")
    if answer.status_code == 200:
        pytest.skip("this server runs in dual write mode and still serves legacy reads")
    assert answer.status_code == 404
    assert "events_only" in answer.json()["message"]
