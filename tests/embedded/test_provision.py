"""Provisioning on the embedded engine: from empty to the described state, once, and edit by edit."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripts.provision.export import files_of, read_everything
from scripts.provision.resources import Change

from .harness import REPOSITORY, Keys, RunningEngine
from .provisioning import apply, copy_of_example, plan, server_of, shown

SHIPPED = REPOSITORY / "examples" / "kosmos" / "stack.yaml"

_numbers = itertools.count()


@pytest.fixture
def keys(engine: RunningEngine) -> Keys:
    """A new project."""
    return engine.provision(f"provision-{next(_numbers)}")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return copy_of_example(tmp_path / "config")


def edit(config: Path, file: str, old: str, new: str) -> None:
    path = config.parent / file
    text = path.read_text()
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {file}"
    path.write_text(text.replace(old, new))


def rows(engine: RunningEngine, keys: Keys, path: str, **query: Any) -> list[dict[str, Any]]:
    with engine.client_for(keys) as client:
        answer = client.get(f"/api/public/{path}", params={"limit": 100, **query})
        assert answer.status_code == 200, answer.text
        return list(answer.json()["data"])


def prompt(engine: RunningEngine, keys: Keys, name: str, **query: Any) -> dict[str, Any]:
    with engine.client_for(keys) as client:
        answer = client.get(f"/api/public/v2/prompts/{name.replace('/', '%2F')}", params=query)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


def test_from_empty_to_the_described_state_and_then_nothing_to_do(
    engine: RunningEngine, keys: Keys, config: Path
) -> None:
    first = plan(engine, keys, config)
    assert {change.action for change in first.changes} == {"create"}
    assert apply(engine, keys, config) == len(first.changes) == 24
    second = plan(engine, keys, config)
    assert shown(second) == []
    assert second.kept == 24
    assert second.left == ()

    answer = prompt(engine, keys, "athena/answer")
    assert answer["prompt"] == "Answer {{question}}.\n\nName your sources."
    assert sorted(answer["labels"]) == ["latest", "production", "staging"]
    assert prompt(engine, keys, "zeus-routing", label="variant-b")["version"] == 2
    assert prompt(engine, keys, "zeus-routing")["version"] == 1
    items = rows(engine, keys, "dataset-items", datasetName="golden/routing")
    assert {item["id"]: item["expectedOutput"] for item in items} == {
        "routing-1": "billing",
        "routing-2": "account",
    }
    (dashboard,) = rows(engine, keys, "unstable/dashboards")
    assert [(one["x"], one["y"], one["width"]) for one in dashboard["definition"]["widgets"]] == [
        (0, 0, 6),
        (6, 0, 6),
        (0, 6, 12),
    ]
    (queue,) = rows(engine, keys, "annotation-queues")
    configs = {row["id"]: row["name"] for row in rows(engine, keys, "score-configs")}
    assert sorted(configs[one] for one in queue["scoreConfigIds"]) == [
        "attribution_confidence",
        "confidence_tier",
    ]


EDITS = [
    ("scores.yaml", "max_value: 1", "max_value: 2", ("update", "score config", "attribution_confidence")),
    ("scores.yaml", "How sure", "How very sure", ("update", "score config", "attribution_confidence")),
    ("scores.yaml", "label: HIGH", "label: TOP", ("update", "score config", "confidence_tier")),
    ("scores.yaml", "data_type: TEXT", "data_type: BOOLEAN", ("replace", "score config", "remark")),
    ("scores.yaml", ", max_value: 2000", "", ("replace", "score config", "latency-sla")),
    ("scores.yaml", ", archived: true", "", ("update", "score config", "old-quality")),
    ("models.yaml", "0.0000006", "0.0000007", ("update", "model", "acme-7b")),
    ("models.yaml", "value: 200000", "value: 300000", ("update", "model", "acme-7b")),
    ("models.yaml", "^acme-voice$", "^acme-voice", ("update", "model", "acme-voice")),
    ("prompts/athena/rules.md", "Name", "Always name", ("update", "prompt", "athena/rules")),
    ("prompts/athena/answer.md", "0.2", "0.3", ("update", "prompt", "athena/answer")),
    ("prompts/athena/answer.md", "staging", "canary", ("update", "prompt", "athena/answer")),
    ("prompts/athena/answer.md", "[athena]", "[athena, rag]", ("update", "prompt", "athena/answer")),
    ("prompts/chat.yaml", "You help", "You gladly help", ("update", "prompt", "customer-service")),
    ("datasets/sets.yaml", "owner: zeus", "owner: athena", ("update", "dataset", "golden/routing")),
    (
        "datasets/sets.yaml",
        "    input_schema: {type: object, properties: {request: {type: string}}, required: [request]}\n",
        "",
        ("update", "dataset", "golden/routing"),
    ),
    ("datasets/sets.yaml", "expected_output: 4", "expected_output: 5", ("update", "dataset item", "small-1")),
    ("datasets/sets.yaml", ", status: ARCHIVED", "", ("update", "dataset item", "small-2")),
    ("datasets/routing.jsonl", '"billing"', '"money"', ("update", "dataset item", "routing-1")),
    ("datasets/routing.jsonl", ', "metadata": {"hard": true}', "", ("replace", "dataset item", "routing-2")),
    ("datasets/rag.csv", "Homer", "Homeros", ("update", "dataset item", "rag-1")),
    (
        "rest.yaml",
        "custom_models: [acme-7b]",
        "custom_models: []",
        ("update", "LLM connection", "acme-gateway"),
    ),
    ("dashboards.yaml", "agg: sum", "agg: avg", ("update", "dashboard", "Cost")),
    ("dashboards.yaml", "row_limit: 20", "row_limit: 10", ("update", "dashboard", "Cost")),
    ("dashboards.yaml", "width: 12", "width: 10", ("update", "dashboard", "Cost")),
    ("dashboards.yaml", "value: production", "value: staging", ("update", "dashboard", "Cost")),
]


@pytest.fixture(scope="module")
def applied(engine: RunningEngine, tmp_path_factory: pytest.TempPathFactory) -> tuple[Keys, Path]:
    """A project that has the example, and edits that go back and forth."""
    keys = engine.provision("provision-edits")
    config = copy_of_example(tmp_path_factory.mktemp("edits") / "config")
    apply(engine, keys, config)
    return keys, config


@pytest.mark.parametrize(("file", "old", "new", "expected"), EDITS)
def test_a_single_edit_shows_as_exactly_that_change_and_is_then_done(
    engine: RunningEngine,
    applied: tuple[Keys, Path],
    file: str,
    old: str,
    new: str,
    expected: tuple[str, str, str],
) -> None:
    keys, config = applied
    before = (config.parent / file).read_text()
    edit(config, file, old, new)
    try:
        assert shown(plan(engine, keys, config)) == [expected]
        assert apply(engine, keys, config) == 1
        assert shown(plan(engine, keys, config)) == []
    finally:
        (config.parent / file).write_text(before)
        apply(engine, keys, config)
    assert shown(plan(engine, keys, config)) == []


def test_a_change_of_a_queue_is_named_as_impossible_and_the_rest_is_done(
    engine: RunningEngine, keys: Keys, config: Path
) -> None:
    apply(engine, keys, config)
    edit(config, "rest.yaml", "Answers that", "All answers that")
    edit(config, "scores.yaml", "max_value: 1", "max_value: 2")
    planned = plan(engine, keys, config)
    assert shown(planned) == [
        ("update", "score config", "attribution_confidence"),
        ("blocked", "annotation queue", "review"),
    ]
    assert "the API cannot change a queue" in planned.changes[1].note
    assert apply(engine, keys, config) == 1
    assert [one[0] for one in shown(plan(engine, keys, config))] == ["blocked"]


def test_going_back_to_earlier_content_moves_labels_and_makes_no_version(
    engine: RunningEngine, keys: Keys, config: Path
) -> None:
    apply(engine, keys, config)
    edit(config, "prompts/athena/rules.md", "Name", "Always name")
    apply(engine, keys, config)
    assert prompt(engine, keys, "athena/rules")["version"] == 2
    edit(config, "prompts/athena/rules.md", "Always name", "Name")
    (change,) = plan(engine, keys, config).changes
    assert change.note == "labels move to version 1"
    apply(engine, keys, config)
    assert prompt(engine, keys, "athena/rules")["version"] == 1
    assert prompt(engine, keys, "athena/rules", label="latest")["version"] == 2


def test_a_replaced_score_config_is_archived_and_its_successor_has_the_name(
    engine: RunningEngine, keys: Keys, config: Path
) -> None:
    apply(engine, keys, config)
    edit(config, "scores.yaml", "data_type: TEXT", "data_type: BOOLEAN")
    apply(engine, keys, config)
    found = [row for row in rows(engine, keys, "score-configs") if row["name"] == "remark"]
    assert sorted((row["dataType"], row["isArchived"]) for row in found) == [
        ("BOOLEAN", False),
        ("TEXT", True),
    ]


def test_what_no_file_describes_is_left_alone_and_named(
    engine: RunningEngine, keys: Keys, config: Path
) -> None:
    apply(engine, keys, config)
    with engine.client_for(keys) as client:
        client.post(
            "/api/public/v2/prompts", json={"name": "mine", "prompt": "x", "labels": ["production"]}
        ).raise_for_status()
        client.post(
            "/api/public/dataset-items", json={"datasetName": "golden/small", "id": "mine-1", "input": 1}
        ).raise_for_status()
    planned = plan(engine, keys, config)
    assert planned.changes == ()
    assert [(one.kind, one.key) for one in planned.left] == [("prompt", "mine"), ("dataset item", "mine-1")]


def test_prune_takes_away_what_no_file_describes_and_nothing_else(
    engine: RunningEngine, keys: Keys, config: Path
) -> None:
    apply(engine, keys, config)
    (config.parent / "stack.yaml").write_text(
        "organization: {id: acme, name: Acme}\nadmin: {email: admin@acme.example}\n"
        "projects:\n  - {id: kosmos, name: kosmos, content: [models.yaml, datasets]}\n"
    )
    planned = plan(engine, keys, config, prune=True)
    assert {change.action for change in planned.changes} == {"delete", "blocked"}
    assert [change.key for change in planned.changes if change.action == "blocked"] == ["review"]
    assert apply(engine, keys, config, prune=True) == 11
    assert rows(engine, keys, "v2/prompts") == []
    assert rows(engine, keys, "unstable/dashboards") == []
    assert rows(engine, keys, "unstable/dashboard-widgets") == []
    assert rows(engine, keys, "llm-connections") == []
    assert {row["isArchived"] for row in rows(engine, keys, "score-configs")} == {True}
    assert len(rows(engine, keys, "v2/datasets")) == 3
    assert len(rows(engine, keys, "dataset-items")) == 5
    assert [one[0] for one in shown(plan(engine, keys, config, prune=True))] == ["blocked"]


class Crash(Exception):
    """The end of a run at an arbitrary moment."""


@pytest.mark.slow
def test_a_crash_after_any_step_and_a_rerun_end_in_the_same_state(
    engine: RunningEngine, tmp_path: Path
) -> None:
    config = copy_of_example(tmp_path / "config")
    whole = engine.provision("crash-none")
    steps = apply(engine, whole, config)
    expected = everything(engine, whole)
    for step in range(1, steps):
        keys = engine.provision(f"crash-{step}")
        with pytest.raises(Crash):
            apply(engine, keys, config, done=crash_at(step))
        # Steps run side by side, so that of those that are under way some get to their end.
        made = steps - len(plan(engine, keys, config).changes)
        assert step <= made <= steps
        assert apply(engine, keys, config) == steps - made
        assert plan(engine, keys, config).changes == ()
        assert everything(engine, keys) == expected


@pytest.mark.slow
def test_a_run_that_crashes_after_every_single_step_gets_to_the_shipped_state(engine: RunningEngine) -> None:
    whole, keys = engine.provision("shipped-at-once"), engine.provision("shipped-step-by-step")
    steps = apply(engine, whole, SHIPPED)
    assert steps > 60
    for left in range(steps, 0, -1):
        assert len(plan(engine, keys, SHIPPED).changes) == left
        with pytest.raises(Crash):
            apply(engine, keys, SHIPPED, done=crash_at(1), concurrency=1)
    assert plan(engine, keys, SHIPPED).changes == ()
    assert everything(engine, keys) == everything(engine, whole)


def crash_at(step: int) -> Callable[[Change], None]:
    """Return what raises after that many changes, and after every further one."""
    done = itertools.count(1)

    def crash(_change: Change) -> None:
        if next(done) >= step:
            raise Crash

    return crash


def everything(engine: RunningEngine, keys: Keys) -> dict[str, Any]:
    """Return what a project has, without ids and times."""
    with server_of(engine, keys) as server:
        files = {file.path: file.text for file in files_of(read_everything(server))}
    counts = {
        path: len(rows(engine, keys, path))
        for path in ("score-configs", "v2/prompts", "dataset-items", "unstable/dashboard-widgets")
    }
    return {**files, **counts}
