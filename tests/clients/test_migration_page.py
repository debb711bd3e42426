"""Each pair of docs/how-to/migrate-sdk.md, old and new, is run and sends the same."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.embedded.conftest import start_engine
from tests.embedded.harness import REPOSITORY, Keys, RunningEngine

from .conftest import PYTHON, llm, subprocess_of

__all__ = ["llm", "start_engine"]

PAGE = REPOSITORY / "docs" / "how-to" / "migrate-sdk.md"
BLOCK = re.compile(r"^```python\n# (\w+): sdk (\d)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PYTHONS = {
    "2": REPOSITORY / ".venv-sdk2" / "bin" / "python",
    "3": REPOSITORY / ".venv-sdk3" / "bin" / "python",
    "5": PYTHON,
}
PRELUDE = {
    "2": "from langfuse import Langfuse\nlangfuse = Langfuse()\n",
    "3": "from langfuse import get_client\nlangfuse = get_client()\n",
}
PRELUDE["5"] = PRELUDE["3"]


def blocks() -> dict[str, dict[str, str]]:
    """Return the code of each topic by SDK."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for topic, sdk, code in BLOCK.findall(PAGE.read_text()):
        found[topic][sdk] = code
    return found


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    """An engine that old SDKs can use."""
    directory = tmp_path_factory.mktemp("dual")
    running = RunningEngine(directory / "data", {"LANGFUSE_MIGRATION_V4_WRITE_MODE": "dual"}).start()
    yield running
    assert running.stop() == 0, running.log()


def run(engine: RunningEngine, keys: Keys, llm: str, sdk: str, code: str) -> None:
    """Run the code as an application does."""
    python: Path = PYTHONS[sdk]
    if not python.exists():
        pytest.skip(f"no packages at {python}: run make test-clients")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("LANGFUSE_", "OTEL_"))},
        "LANGFUSE_HOST": engine.base_url,
        "LANGFUSE_PUBLIC_KEY": keys.public_key,
        "LANGFUSE_SECRET_KEY": keys.secret_key,
        "OPENAI_BASE_URL": llm,
        "OPENAI_API_KEY": "sk-test-none",
    }
    # A client with options has to be the first of its process.
    own_client = "langfuse = Langfuse(" in code
    script = f"{'' if own_client else PRELUDE[sdk]}{code}\nlangfuse.flush()\n"
    done = subprocess_of([str(python), "-c", script], env=environment)
    assert done.returncode == 0, done.stderr
    assert "rror" not in done.stderr, done.stderr


def pages(client: httpx.Client, path: str) -> list[dict[str, Any]]:
    """Return what a legacy route lists."""
    answer = client.get(f"/api/public/{path}")
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()["data"]
    return rows


def arrived(client: httpx.Client) -> dict[str, Any]:
    """Return what a project holds: its one trace, its observations without the root, its scores."""
    [trace] = pages(client, "traces")
    observations = pages(client, "observations")
    roots = {one["id"] for one in observations if one["parentObservationId"] is None}
    named = {one["id"]: one["name"] for one in observations}
    # SDK 3 and 5 have a span for what SDK 2 calls the trace.
    whole = {one["id"] for one in observations if one["id"] in roots and one["name"] == trace["name"]}
    inner = [one for one in observations if one["id"] not in whole or one["type"] == "GENERATION"]
    scores = pages(client, "v2/scores")
    return {
        "trace": {key: trace[key] for key in ("name", "userId", "sessionId", "tags", "input", "output")},
        "observations": sorted(
            (
                one["name"],
                one["type"],
                one["level"],
                one["model"],
                str(one["input"]),
                str(one["output"]),
                one["usageDetails"],
                one.get("promptName"),
                one.get("promptVersion"),
            )
            for one in inner
        ),
        "scores": sorted(
            (
                one["name"],
                one["value"],
                one.get("stringValue"),
                one["comment"],
                named.get(one["observationId"]),
            )
            for one in scores
        ),
    }


def run_items(client: httpx.Client, sdk: str) -> dict[str, Any]:
    """Return input, output and scores of the items of the one experiment that a project holds."""
    if sdk == "5":
        [experiment] = pages(client, "experiments?fromStartTime=2020-01-01T00:00:00Z")
        query = f"experimentId={experiment['id']}&fields=core,io,scores&fromStartTime=2020-01-01T00:00:00Z"
        items = pages(client, f"experiment-items?{query}")
        scores = [(score["name"], score["value"]) for item in items for score in item["scores"]]
        return {
            "name": experiment["name"],
            "items": [(item["input"], item["output"]) for item in items],
            "scores": scores,
        }
    answer = client.get("/api/public/datasets/warranty/runs/first")
    assert answer.status_code == 200, answer.text
    traces = {one["id"]: one for one in pages(client, "traces")}
    ids = [one["traceId"] for one in answer.json()["datasetRunItems"]]
    return {
        "name": answer.json()["name"],
        "items": [(traces[one]["input"], traces[one]["output"]) for one in ids],
        "scores": [
            (one["name"], one["value"]) for one in pages(client, "v2/scores") if one["traceId"] in ids
        ],
    }


TOPICS = blocks()


def test_the_page_shows_both_sides_of_each_topic() -> None:
    assert {"trace", "scores", "decorators", "openai", "prompts", "datasets", "masking"} == TOPICS.keys()
    assert all({"2", "5"} <= sides.keys() for sides in TOPICS.values())


@pytest.mark.parametrize("topic", list(TOPICS))
def test_old_and_new_code_send_the_same(engine: RunningEngine, llm: str, topic: str) -> None:
    found = {}
    for sdk, code in TOPICS[topic].items():
        keys = engine.provision(f"{topic}-{sdk}")
        run(engine, keys, llm, sdk, code)
        with engine.client_for(keys) as client:
            found[sdk] = run_items(client, sdk) if topic == "datasets" else arrived(client)
    for sdk in found.keys() - {"5"}:
        assert found[sdk] == found["5"], sdk
