"""The content of the example company and of config/: loaded in one go, and left alone by a second run."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from scripts.provision.loading import load
from scripts.provision.stack import Project

from .harness import REPOSITORY, Keys, RunningEngine
from .provisioning import apply, plan
from .spans import send, span, trace_id
from .widgets import widget_query

STACK_FILE = REPOSITORY / "examples" / "kosmos" / "stack.yaml"
NEUTRAL = REPOSITORY / "config" / "stack.yaml"
OBJECTS = {
    "score_configs": 19,
    "models": 7,
    "prompts": 5,
    "datasets": 2,
    "annotation_queues": 1,
    "dashboards": 4,
}
ITEMS = 24 + 12


@pytest.fixture(scope="module")
def shipped() -> Project:
    """The first project of the example company."""
    return load(STACK_FILE, "examples/kosmos/stack.yaml").stack.projects[0]


@pytest.fixture(scope="module")
def keys(engine: RunningEngine) -> Keys:
    """A project that holds the shipped content."""
    keys = engine.provision("shipped")
    assert apply(engine, keys, STACK_FILE) == sum(OBJECTS.values()) + ITEMS
    return keys


@pytest.fixture(scope="module")
def project(engine: RunningEngine, keys: Keys) -> Iterator[httpx.Client]:
    """A client of that project."""
    with engine.client_for(keys) as client:
        yield client


def test_every_kind_of_object_is_shipped(shipped: Project) -> None:
    assert {kind: len(getattr(shipped, kind)) for kind in OBJECTS} == OBJECTS
    assert sum(len(dataset.items) for dataset in shipped.datasets) == ITEMS


def test_all_projects_have_the_same_content_so_that_examples_run_in_any() -> None:
    projects = load(STACK_FILE, "examples/kosmos/stack.yaml").stack.projects
    assert len(projects) > 1
    assert {tuple(project.content) for project in projects} == {("content",)}


def test_a_second_run_changes_nothing(engine: RunningEngine, keys: Keys) -> None:
    again = plan(engine, keys, STACK_FILE)
    assert again.changes == ()
    assert again.left == ()
    assert again.kept == sum(OBJECTS.values()) + ITEMS


def test_a_prompt_includes_the_guidelines_when_it_is_fetched(project: httpx.Client) -> None:
    answer = project.get("/api/public/v2/prompts/customer-service").json()
    assert "check it a second time" in answer["prompt"][0]["content"]
    assert "@@@" not in answer["prompt"][0]["content"]


def test_the_versions_of_the_routing_prompt_offer_the_same_four_agents(project: httpx.Client) -> None:
    found = {
        label: project.get("/api/public/v2/prompts/zeus-routing", params={"label": label}).json()
        for label in ("production", "variant-a", "variant-b")
    }
    assert {label: one["version"] for label, one in found.items()} == {
        "production": 1,
        "variant-a": 1,
        "variant-b": 2,
    }
    for one in found.values():
        assert list(one["config"]["agents"]) == ["researcher", "coder", "analyst", "writer"]
        assert all(f"- {agent}" in one["prompt"][0]["content"] for agent in one["config"]["agents"])


def test_each_agent_of_the_golden_set_is_one_of_the_prompt_and_has_as_many_requests(
    shipped: Project,
) -> None:
    [routing] = [prompt for prompt in shipped.prompts if prompt.name == "zeus-routing"]
    [golden] = [dataset for dataset in shipped.datasets if dataset.name == "golden/routing"]
    agents = [item.expected_output for item in golden.items]
    assert {agent: agents.count(agent) for agent in agents} == dict.fromkeys(
        routing.versions[0].config["agents"], 6
    )


@pytest.mark.parametrize(
    ("model", "usage", "cost"),
    [
        ("llama-3.1-70b-instruct", {"input": 1000, "output": 100}, 1000 * 0.56e-6 + 100 * 5.6e-6),
        ("llama3.1:8b", {"input": 1000, "output": 100}, 1000 * 0.056e-6 + 100 * 0.56e-6),
        ("ollama/llama3:8b-q4_0", {"input": 1000, "output": 100}, 1000 * 0.056e-6 + 100 * 0.56e-6),
        ("qwen2.5-coder:7b", {"input": 10, "output": 10}, 10 * 0.056e-6 + 10 * 0.56e-6),
        ("mistralai/Mistral-7B-Instruct-v0.3", {"input": 10, "output": 10}, 10 * 0.056e-6 + 10 * 0.56e-6),
        ("nomic-embed-text:v1.5", {"input": 1000}, 1000 * 0.01e-6),
        ("BAAI/bge-m3", {"input": 1000}, 1000 * 0.01e-6),
        ("whisper-large-v3", {"input": 60}, 60 * 20e-6),
        ("llama-3.1-405b", {"input": 1000}, 0),
    ],
)
def test_local_models_have_the_price_of_their_machine(
    project: httpx.Client, model: str, usage: dict[str, int], cost: float
) -> None:
    trace = trace_id()
    attributes = {
        "langfuse.observation.type": "generation",
        "langfuse.observation.model.name": model,
        "langfuse.observation.usage_details": json.dumps(usage),
    }
    send(project, span(trace, "call", attributes=attributes))
    query = {"traceId": trace, "fields": "core,usage,model"}
    [row] = project.get("/api/public/v2/observations", params=query).json()["data"]
    assert row["totalCost"] == pytest.approx(cost)


def test_every_widget_asks_what_the_metrics_api_answers(shipped: Project, project: httpx.Client) -> None:
    tiles = [tile for dashboard in shipped.dashboards for tile in dashboard.widgets]
    assert len(tiles) == 26
    for tile in tiles:
        answer = project.get("/api/public/v2/metrics", params={"query": json.dumps(widget_query(tile))})
        assert answer.status_code == 200, f"{tile.name}: {answer.text}"


def test_what_config_ships_is_two_dashboards_that_need_no_score(engine: RunningEngine) -> None:
    [neutral] = load(NEUTRAL, "config/stack.yaml").stack.projects
    assert [one.name for one in neutral.dashboards] == ["Cost", "Latency and errors"]
    keys = engine.provision("neutral")
    assert apply(engine, keys, NEUTRAL) == 2
    assert plan(engine, keys, NEUTRAL).changes == ()
    tiles = [tile for dashboard in neutral.dashboards for tile in dashboard.widgets]
    assert {tile.view for tile in tiles} == {"observations"}
    with engine.client_for(keys) as client:
        for tile in tiles:
            answer = client.get("/api/public/v2/metrics", params={"query": json.dumps(widget_query(tile))})
            assert answer.status_code == 200, f"{tile.name}: {answer.text}"
