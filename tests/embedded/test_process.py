"""The engine as a process: start, stop, what it refuses."""

from __future__ import annotations

import httpx

from .conftest import StartEngine
from .harness import RunningEngine


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
