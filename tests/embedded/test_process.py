"""The engine as a process: start, stop, what it refuses."""

from __future__ import annotations

import httpx

from langfuse_embedded.clock import iso, now_ms

from .conftest import StartEngine
from .harness import RunningEngine
from .spans import send, span, trace_id


def test_a_started_engine_answers_health_and_its_project(client: httpx.Client, engine: RunningEngine) -> None:
    assert client.get("/api/public/health").json()["status"] == "OK"
    projects = client.get("/api/public/projects").json()["data"]
    assert [project["id"] for project in projects] == [engine.keys.project_id]


def test_a_project_provisioned_beside_the_engine_is_usable_at_once(engine: RunningEngine) -> None:
    keys = engine.provision("athena")
    with engine.client_for(keys) as other:
        assert [p["id"] for p in other.get("/api/public/projects").json()["data"]] == [keys.project_id]


def test_stopping_with_sigterm_exits_with_zero_and_frees_the_directory(start_engine: StartEngine) -> None:
    first = start_engine()
    assert first.stop() == 0
    again = start_engine(data_dir=first.data_dir)
    assert again.client.get("/api/public/ready").status_code == 200


def _recent(engine: RunningEngine) -> tuple[int, str]:
    answer = engine.client.get("/api/public/health", params={"failIfNoRecentEvents": "true"})
    return answer.status_code, answer.json()["status"]


def test_health_misses_events_of_the_last_three_minutes_where_it_is_asked(start_engine: StartEngine) -> None:
    engine = start_engine()
    assert _recent(engine) == (503, "No events within the last 3 minutes")
    send(engine.client, span(trace_id(), start=(now_ms() - 181_000)))
    assert _recent(engine) == (503, "No events within the last 3 minutes")
    assert engine.client.get("/api/public/ready?failIfNoRecentEvents=true").status_code == 200
    assert engine.client.get("/api/public/health?failIfNoRecentEvents=1").status_code == 200
    send(engine.client, span(trace_id(), start=now_ms() - 1000))
    assert _recent(engine) == (200, "OK")


def test_health_of_dual_mode_misses_traces_before_observations(start_engine: StartEngine) -> None:
    engine = start_engine(LANGFUSE_MIGRATION_V4_WRITE_MODE="dual")
    assert _recent(engine) == (503, "No traces within the last 3 minutes")
    event = {"id": "e", "type": "trace-create", "timestamp": iso(now_ms()), "body": {"id": "t"}}
    engine.client.post("/api/public/ingestion", json={"batch": [event]})
    assert _recent(engine) == (503, "No observations within the last 3 minutes")


def test_only_health_answers_head(client: httpx.Client) -> None:
    assert client.head("/api/public/health").status_code == 200
    assert client.head("/api/public/v2/observations").status_code == 405
    assert client.head("/api/public/v3/scores").status_code == 405


def test_a_slash_at_the_end_is_a_redirection(client: httpx.Client) -> None:
    answer = client.get("/api/public/v2/prompts/?limit=1", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (308, "/api/public/v2/prompts?limit=1")
    followed = client.get("/api/public/v2/prompts/?limit=1", follow_redirects=True)
    assert followed.json()["meta"]["limit"] == 1
