"""Run client applications, each in the environment of its own packages, against the embedded engine."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from examples.fake_llm import serve
from tests.embedded.conftest import client, engine
from tests.embedded.harness import REPOSITORY, RunningEngine

__all__ = ["client", "engine"]

APPS = Path(__file__).parent / "apps"
PYTHON = REPOSITORY / ".venv-clients" / "bin" / "python"
TIMEOUT = 90

RunApp = Callable[[str], dict[str, Any]]
ReadTrace = Callable[[str], dict[str, dict[str, Any]]]


@pytest.fixture(scope="session")
def llm() -> Iterator[str]:
    """The base URL of a stand-in for an OpenAI-compatible server."""
    server = serve(0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def environment(engine: RunningEngine) -> dict[str, str]:
    """The environment of an application: where Langfuse is, and nothing else that steers an SDK."""
    steering = ("LANGFUSE_", "OTEL_", "OPENAI_", "TRACELOOP_", "NODE_", "PYTHON")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(steering)},
        "LANGFUSE_BASE_URL": engine.base_url,
        "LANGFUSE_PUBLIC_KEY": engine.keys.public_key,
        "LANGFUSE_SECRET_KEY": engine.keys.secret_key,
    }


@pytest.fixture
def run_app(environment: dict[str, str], llm: str) -> RunApp:
    """A function that runs a Python application of `apps/` and returns what it told."""
    if not PYTHON.exists():
        pytest.skip(f"no packages of client libraries at {PYTHON}: run make test-clients")

    def run(name: str) -> dict[str, Any]:
        env = {**environment, "OPENAI_BASE_URL": llm, "OPENAI_API_KEY": "sk-test-none"}
        return told(subprocess_of([str(PYTHON), str(APPS / f"{name}.py")], env=env))

    return run


def subprocess_of(argv: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    """Run an application to its end."""
    return subprocess.run(argv, text=True, capture_output=True, timeout=TIMEOUT, check=False, **options)


def told(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Return what an application printed as its last line."""
    assert done.returncode == 0, done.stderr[-4000:]
    facts: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return facts


@pytest.fixture
def read_trace(client: httpx.Client) -> ReadTrace:
    """A function that returns the observations of a trace by name."""

    def read(trace_id: str) -> dict[str, dict[str, Any]]:
        query = {
            "traceId": trace_id,
            "fields": "core,basic,io,usage,model,metadata,trace_context",
        }
        answer = client.get("/api/public/v2/observations", params=query)
        assert answer.status_code == 200, answer.text
        return {one["name"]: one for one in answer.json()["data"]}

    return read
