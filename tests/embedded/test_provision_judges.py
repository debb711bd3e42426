"""Evaluators and rules as code: planned, applied and exported without loss, on both kinds of routes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.provision.apply import apply_project
from scripts.provision.export import files_of, read_everything, write_files
from scripts.provision.kinds.evaluators import EvaluationRules, Evaluators, generation
from scripts.provision.loading import load
from scripts.provision.plan import ProjectPlan, actual_state, desired_state, plan_project
from scripts.provision.server import Server
from tests.waiting import wait_for

from .conftest import StartEngine
from .harness import REPOSITORY, RunningEngine
from .judging import ALLOWED, CONNECTIONS, EVALUATORS, accepted, connect, running_model, scores
from .provisioning import shown
from .spans import send, span, trace_id

SHIPPED = (REPOSITORY / "examples" / "evaluators.yaml").read_text("utf-8")
KOSMOS = (REPOSITORY / "examples" / "kosmos" / "judges.yaml").read_text("utf-8")
SCORES = (REPOSITORY / "examples" / "kosmos" / "content" / "scores.yaml").read_text("utf-8")
KINDS = {Evaluators.name, EvaluationRules.name}
STACK = """\
organization: {id: acme, name: Acme}
admin: {email: admin@acme.example, name: Acme Admin}
projects:
  - {id: kosmos, name: kosmos, content: [judges.yaml]}
"""


class OlderServer(Server):
    """A server that has evaluators below `/unstable` only."""

    def request(self, method: str, path: str, **what: Any) -> Any:
        """Ask for a route that no server has where this one has none."""
        return super().request(method, path.replace("v2/eval", "v2/nothing-", 1), **what)


@pytest.fixture
def engine(start_engine: StartEngine) -> Iterator[RunningEngine]:
    """An engine with a connection that evaluators can name, and that rules may call."""
    with running_model() as model:
        running = start_engine(**ALLOWED)
        connect(running.client, model.base_url, provider="openai")
        yield running


def server_of(engine: RunningEngine, kind: type[Server]) -> Server:
    """Return the API of the engine's project."""
    return kind(engine.base_url, engine.keys.public_key, engine.keys.secret_key)


def planned(server: Server, directory: Path, *, prune: bool = False) -> ProjectPlan:
    """Return what the content of a directory would change of evaluators and rules."""
    (directory / "stack.yaml").write_text(STACK)
    project = load(directory / "stack.yaml", "config/stack.yaml").stack.projects[0]
    server.ids.clear()
    desired = desired_state(project, {})
    plan = plan_project("kosmos", desired, actual_state(server, desired), prune=prune)
    changes = tuple(one for one in plan.changes if one.kind in KINDS)
    return ProjectPlan("kosmos", changes, tuple(one for one in plan.left if one.kind in KINDS), plan.kept)


@pytest.mark.parametrize("kind", [Server, OlderServer])
def test_what_is_shipped_is_applied_once_changed_singly_and_exported_without_loss(
    engine: RunningEngine, tmp_path: Path, kind: type[Server]
) -> None:
    judges = tmp_path / "judges.yaml"
    judges.write_text(SHIPPED)
    with server_of(engine, kind) as server:
        assert generation(server) == ("v2" if kind is Server else "unstable")
        first = planned(server, tmp_path)
        assert [one[0] for one in shown(first)] == ["create"] * 5
        assert apply_project(server, first, lambda _change: None) == 5
        assert planned(server, tmp_path).changes == ()
        # Nothing was called, and nothing will be: the rules are not enabled.
        assert engine.client.get("/api/embedded/judge").json()["running"] is False

        judges.write_text(SHIPPED.replace("You judge the tone", "You weigh the tone"))
        second = planned(server, tmp_path)
        assert shown(second) == [("update", "evaluator", "tone")]
        assert [one.field for one in second.changes[0].differences] == ["messages"]
        apply_project(server, second, lambda _change: None)
        assert planned(server, tmp_path).changes == ()
        versions = {one["name"]: one["version"] for one in accepted(engine.client.get(EVALUATORS))["data"]}
        assert versions == {"answers-the-question": 1, "as-expected": 1, "tone": 2}

        into = tmp_path / "exported"
        write_files(files_of(read_everything(server)), into)
        judges.write_text(
            "".join((into / f"{kind.section}.yaml").read_text() for kind in (Evaluators, EvaluationRules))
        )
        assert planned(server, tmp_path).changes == ()
        exported = yaml.safe_load(judges.read_text())
        assert exported["evaluation_rules"] == [
            {key: value for key, value in one.items() if key != "enabled"}
            for one in yaml.safe_load(SHIPPED)["evaluation_rules"]
        ]

        judges.write_text("evaluators: []\n")
        assert sorted(one.key for one in planned(server, tmp_path).left) == sorted(
            [*versions, "answers of a tenth of all generations", "every item of an experiment"]
        )
        pruned = planned(server, tmp_path, prune=True)
        # Rules go before the evaluators that they use.
        assert [one[1] for one in shown(pruned)] == ["evaluation rule"] * 2 + ["evaluator"] * 3
        apply_project(server, pruned, lambda _change: None)
        assert accepted(engine.client.get(EVALUATORS))["data"] == []


def test_an_enabled_rule_judges_what_comes(engine: RunningEngine, tmp_path: Path) -> None:
    (tmp_path / "judges.yaml").write_text(
        SHIPPED.replace("enabled: false", "enabled: true").replace("0.1", "1")
    )
    with server_of(engine, Server) as server:
        apply_project(server, planned(server, tmp_path), lambda _change: None)
    assert wait_for(lambda: engine.client.get("/api/embedded/judge").json()["running"], "the judge runs")


def test_the_judges_of_the_example_company_give_scores_that_people_can_give_too(
    engine: RunningEngine, tmp_path: Path
) -> None:
    (tmp_path / "stack.yaml").write_text(STACK.replace("[judges.yaml]", "[judges.yaml, scores.yaml]"))
    (tmp_path / "scores.yaml").write_text(SCORES)
    (tmp_path / "judges.yaml").write_text(
        KOSMOS.replace("enabled: false", "enabled: true").replace("sampling: 0.25", "sampling: 1")
    )
    project = load(tmp_path / "stack.yaml", "config/stack.yaml").stack.projects[0]
    client = engine.client
    with server_of(engine, Server) as server:
        desired = desired_state(project, {})
        apply_project(server, plan_project("kosmos", desired, actual_state(server, desired)), lambda _: None)
        server.ids.clear()
        desired = desired_state(project, {})
        assert plan_project("kosmos", desired, actual_state(server, desired)).changes == ()
    seen = {}
    for name, trace_name, of in (
        ("answer", "rag_query", "factual-accuracy"),
        ("quiz_question", "quiz", "quiz-difficulty"),
        ("chat-turn", "chat-turn", "tone"),
        ("answer", "other", ""),
    ):
        seen[of] = trace_id()
        attributes = {"langfuse.observation.input": "Athens?", "langfuse.observation.output": "In Greece"}
        send(client, span(seen[of], name, attributes={**attributes, "langfuse.trace.name": trace_name}))

    def all_scores() -> list[dict[str, Any]]:
        found = scores(client, source="EVAL")
        return found if len(found) == 3 else []

    found = {one["name"]: one for one in wait_for(all_scores, "a score of each judge")}
    assert {name: one["subject"]["traceId"] for name, one in found.items()} == {
        name: trace for name, trace in seen.items() if name
    }
    configs = {
        one["name"]: one for one in accepted(client.get("/api/public/score-configs?limit=100"))["data"]
    }
    for name, one in found.items():
        config = configs[name]
        assert one["dataType"] == config["dataType"]
        if config["dataType"] == "CATEGORICAL":
            assert one["value"] in [category["label"] for category in config["categories"]]
            [judge] = [own for own in project.evaluators if own.name == name]
            assert set(judge.output.categories) == {category["label"] for category in config["categories"]}
        else:
            assert config["minValue"] <= one["value"] <= config["maxValue"]


def test_a_paused_evaluator_is_told_and_goes_on_where_the_api_can(
    engine: RunningEngine, tmp_path: Path
) -> None:
    (tmp_path / "judges.yaml").write_text(SHIPPED)
    client = engine.client
    with server_of(engine, Server) as server:
        apply_project(server, planned(server, tmp_path), lambda _change: None)
        [connection] = accepted(client.get(CONNECTIONS))["data"]
        accepted(client.delete(f"{CONNECTIONS}/{connection['id']}"))
        paused = planned(server, tmp_path)
        assert shown(paused) == [
            ("update", "evaluator", name) for name in ("answers-the-question", "as-expected", "tone")
        ]
        assert paused.changes[0].differences[0].old == "paused (LLM_CONNECTION_MISSING)"
        connect(client, "https://llm.acme.example/v1", provider="openai")
        apply_project(server, paused, lambda _change: None)
        assert planned(server, tmp_path).changes == ()
