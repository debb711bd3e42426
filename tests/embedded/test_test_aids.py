"""What the engine offers to test suites: faults on purpose, and a project emptied."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from langfuse import Langfuse

from .conftest import StartEngine
from .harness import EngineFailed, RunningEngine
from .spans import send, span, trace_id

PROJECT_DATA = ("v2/observations", "v3/scores", "v2/prompts", "v2/datasets", "score-configs", "comments")


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    """An engine whose faults can be changed while it runs."""
    environment = {"EMBEDDED_FAULTS": "none", "EMBEDDED_ALLOW_RESET": "true"}
    running = RunningEngine(tmp_path_factory.mktemp("faulty") / "data", environment).start()
    yield running
    assert running.stop() == 0, running.log()


@pytest.fixture
def faults(faulty: RunningEngine) -> Iterator[RunningEngine]:
    """The same engine; its faults end with the test."""
    yield faulty
    inject(faulty, "none")


def inject(engine: RunningEngine, text: str) -> None:
    """Put a list of faults into force."""
    assert engine.client.put("/api/embedded/faults", json={"faults": text}).status_code == 200


def injected(engine: RunningEngine) -> dict[str, int]:
    """Return how many requests were hit, by kind."""
    counts: dict[str, int] = engine.client.get("/api/embedded/faults").json()["injected"]
    return counts


@pytest.mark.parametrize(("kind", "status"), [("429", 429), ("503", 503)])
def test_a_refused_request_is_told_when_to_come_again(faults: RunningEngine, kind: str, status: int) -> None:
    inject(faults, f"{kind}:x1:3s")
    answer = faults.client.get("/api/public/projects")
    assert (answer.status_code, answer.headers["retry-after"]) == (status, "3")
    assert "injected fault" in answer.json()["message"]
    assert faults.client.get("/api/public/projects").status_code == 200
    assert injected(faults) == {kind: 1}


def test_a_slow_request_is_answered_late(faults: RunningEngine) -> None:
    inject(faults, "slow:x1:300ms")
    begin = time.monotonic()
    assert faults.client.get("/api/public/projects").status_code == 200
    assert time.monotonic() - begin >= 0.3


def test_a_dropped_request_gets_no_answer_and_leaves_no_error_behind(faults: RunningEngine) -> None:
    inject(faults, "drop:x1")
    with pytest.raises(httpx.TransportError):
        faults.client.get("/api/public/projects")
    assert faults.client.get("/api/public/projects").status_code == 200
    assert "Exception" not in faults.log()


def test_faults_are_those_of_the_setting_from_the_start_on(start_engine: StartEngine) -> None:
    client = start_engine(EMBEDDED_FAULTS="503:x2@/api/public/projects").client
    answers = [client.get("/api/public/projects").status_code for _ in range(3)]
    assert answers == [503, 503, 200]


def test_an_unreadable_list_is_refused_at_start_and_at_run_time(
    start_engine: StartEngine, faulty: RunningEngine
) -> None:
    with pytest.raises(EngineFailed, match="'teapot:1' is not a fault"):
        start_engine(EMBEDDED_FAULTS="teapot:1")
    answer = faulty.client.put("/api/embedded/faults", json={"faults": "503:2"})
    assert (answer.status_code, answer.json()["error"]) == (400, "InvalidRequestError")


def test_nobody_changes_faults_or_resets_unless_a_setting_allows_it(client: httpx.Client) -> None:
    for answer, setting in (
        (client.get("/api/embedded/faults"), "EMBEDDED_FAULTS"),
        (client.put("/api/embedded/faults", json={"faults": "drop:1"}), "EMBEDDED_FAULTS"),
        (client.post("/api/embedded/reset"), "EMBEDDED_ALLOW_RESET"),
    ):
        assert answer.status_code == 404
        assert setting in answer.json()["message"]
    assert httpx.post(f"{client.base_url}/api/embedded/reset").status_code == 401


@pytest.mark.parametrize("kind", ["429", "503"])
def test_the_sdk_delivers_spans_in_spite_of_refusals(faults: RunningEngine, kind: str) -> None:
    inject(faults, f"{kind}:x2@/api/public/otel")
    langfuse = Langfuse(
        base_url=faults.base_url, public_key=faults.keys.public_key, secret_key=faults.keys.secret_key
    )
    with langfuse.start_as_current_observation(name=f"despite-{kind}") as observation:
        trace = observation.trace_id
    langfuse.flush()
    found = faults.client.get("/api/public/v2/observations", params={"traceId": trace}).json()["data"]
    langfuse.shutdown()
    assert [one["name"] for one in found] == [f"despite-{kind}"]
    assert injected(faults) == {kind: 2}


@pytest.mark.parametrize("kind", ["429", "503"])
def test_the_api_client_of_the_sdk_tries_again(faults: RunningEngine, kind: str) -> None:
    inject(faults, f"{kind}:x1@/api/public/v2/prompts")
    langfuse = Langfuse(
        base_url=faults.base_url, public_key=faults.keys.public_key, secret_key=faults.keys.secret_key
    )
    langfuse.create_prompt(name=f"tried-{kind}", prompt="Hello", labels=["production"])
    assert langfuse.get_prompt(f"tried-{kind}", cache_ttl_seconds=0).prompt == "Hello"
    langfuse.shutdown()
    assert injected(faults) == {kind: 1}


def fill(engine: RunningEngine, client: httpx.Client) -> str:
    """Store one of everything in the project of the client; return the id of its media."""
    trace = trace_id()
    send(client, span(trace, "to be gone"))
    content = b"to be gone"
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
    upload = client.post(
        "/api/public/media",
        json={
            "traceId": trace,
            "contentType": "text/plain",
            "contentLength": len(content),
            "sha256Hash": digest,
            "field": "input",
        },
    ).json()
    headers = {"content-type": "text/plain", "x-amz-checksum-sha256": digest}
    assert httpx.put(upload["uploadUrl"], content=content, headers=headers).status_code == 200
    client.patch(
        f"/api/public/media/{upload['mediaId']}",
        json={"uploadedAt": "2026-01-15T10:00:00Z", "uploadHttpStatus": 200},
    )
    for path, body in (
        ("scores", {"traceId": trace, "name": "ok", "value": 1}),
        ("v2/prompts", {"type": "text", "name": "gone", "prompt": "Hello"}),
        ("v2/datasets", {"name": "gone"}),
        ("dataset-items", {"datasetName": "gone", "input": 1}),
        ("score-configs", {"name": "gone", "dataType": "NUMERIC"}),
        (
            "comments",
            {
                "projectId": client.get("/api/public/projects").json()["data"][0]["id"],
                "objectType": "TRACE",
                "objectId": trace,
                "content": "gone",
            },
        ),
    ):
        answer = client.post(f"/api/public/{path}", json=body)
        assert answer.status_code in (200, 201), answer.text
    return str(upload["mediaId"])


def counts(client: httpx.Client) -> list[int]:
    """Return how much of everything the project of the client has."""
    return [len(client.get(f"/api/public/{path}").json()["data"]) for path in PROJECT_DATA]


def counted(client: httpx.Client) -> int:
    """Return how many observations the metrics of the project of the client count."""
    query = {
        "view": "observations",
        "metrics": [{"measure": "count", "aggregation": "count"}],
        "fromTimestamp": "2020-01-01T00:00:00Z",
        "toTimestamp": "2100-01-01T00:00:00Z",
    }
    rows = client.get("/api/public/v2/metrics", params={"query": json.dumps(query)}).json()["data"]
    return sum(int(row["count_count"]) for row in rows)


def media_files(directory: Path) -> int:
    """Return how many media files there are."""
    return sum(1 for path in (directory / "media").rglob("*") if path.is_file())


def test_a_reset_empties_one_project_and_no_other(faulty: RunningEngine) -> None:
    other = faulty.client_for(faulty.provision("untouched"))
    faulty.client.post("/api/embedded/reset")
    media = fill(faulty, faulty.client)
    fill(faulty, other)
    assert counts(faulty.client) == counts(other) == [1] * len(PROJECT_DATA)
    assert media_files(faulty.data_dir) == 2
    assert faulty.client.post("/api/embedded/reset").json() == {"message": "Project reset"}
    assert counts(faulty.client) == [0] * len(PROJECT_DATA)
    assert counts(other) == [1] * len(PROJECT_DATA)
    assert faulty.client.get(f"/api/public/media/{media}").status_code == 404
    assert media_files(faulty.data_dir) == 1
    assert (counted(faulty.client), counted(other)) == (0, 1)
    other.close()
    assert fill(faulty, faulty.client) == media
