"""What the official JavaScript SDK does with traces, scores, prompts, datasets and experiments arrives."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.embedded.harness import REPOSITORY

from .conftest import ReadTrace, subprocess_of, told

SCRIPT = Path(__file__).parent / "js" / "client.mjs"
PACKAGES = REPOSITORY / "build" / "js-client"


@pytest.fixture(scope="module")
def js(environment: dict[str, str]) -> dict[str, Any]:
    """What the script told; it runs once."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node: install Node.js 20 or later")
    if not (PACKAGES / "node_modules").is_dir():
        pytest.skip(f"no packages at {PACKAGES}: run make test-clients")
    # From standard input, so that Node looks for packages in the working directory.
    argv = [node, "--input-type=module", "-"]
    return told(subprocess_of(argv, input=SCRIPT.read_text(), env=environment, cwd=PACKAGES))


def scores_of(client: httpx.Client, **query: str) -> dict[str, Any]:
    """Return name and value of scores."""
    answer = client.get("/api/public/v3/scores", params=query)
    assert answer.status_code == 200, answer.text
    return {one["name"]: one["value"] for one in answer.json()["data"]}


def test_a_trace_of_the_js_sdk_is_complete(js: dict[str, Any], read_trace: ReadTrace) -> None:
    found = read_trace(js["traceId"])
    assert found.keys() == {"js-root", "js-chat"}
    root, chat = found["js-root"], found["js-chat"]
    assert (chat["id"], chat["parentObservationId"]) == (js["generationId"], root["id"])
    assert (chat["type"], chat["model"]) == ("GENERATION", "gpt-4o")
    assert chat["usageDetails"] == {"input": 1000, "output": 100, "total": 1100}
    assert chat["totalCost"] == pytest.approx(1000 * 2.5e-6 + 100 * 10e-6)
    assert (json.loads(root["input"]), root["output"]) == ({"question": "Where is Athens?"}, "In Greece")
    for one in found.values():
        assert (one["userId"], one["sessionId"], one["tags"]) == ("athena", "js-session", ["js"])
        assert one["metadata"]["region"] == "eu"


def test_scores_of_the_js_sdk_are_kept(js: dict[str, Any], client: httpx.Client) -> None:
    assert scores_of(client, traceId=js["traceId"]) == {"js-quality": 0.75, "js-tone": "warm"}


def test_prompts_of_the_js_sdk_compile(js: dict[str, Any], client: httpx.Client) -> None:
    assert js["greeting"] == "Hello Athena"
    assert js["chat"] == [
        {"role": "system", "content": "You are Hermes"},
        {"role": "user", "content": "Hi"},
    ]
    stored = client.get("/api/public/v2/prompts/js%2Fgreeting").json()
    assert (stored["version"], stored["labels"]) == (1, ["production", "latest"])


def test_an_experiment_of_the_js_sdk_runs_over_a_dataset(js: dict[str, Any], client: httpx.Client) -> None:
    values = {item["country"]: value for item, value in js["experiment"]}
    assert values == {"Greece": 1, "Italy": 0}
    scored = [scores_of(client, traceId=trace)["js-exact"] for trace in js["experimentTraceIds"]]
    assert sorted(scored) == [0, 1]
    dataset = client.get("/api/public/v2/datasets/js-capitals").json()
    assert dataset["metadata"] == {"from": "js"}
    items = client.get("/api/public/dataset-items", params={"datasetName": "js-capitals"}).json()["data"]
    assert sorted(item["expectedOutput"] for item in items) == ["Athens", "Rome"]
