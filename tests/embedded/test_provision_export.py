"""Exporting a project and planning with the files shows no difference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scripts.provision.export import files_of, read_everything, write_files
from scripts.provision.loading import load
from scripts.provision.plan import ProjectPlan, actual_state, desired_state, plan_project

from .harness import Keys, RunningEngine
from .provisioning import SECRETS, apply, copy_of_example, server_of

STACK = """\
organization: {id: acme, name: Acme}
admin: {email: admin@acme.example}
projects:
  - {id: kosmos, name: kosmos, content: [exported]}
"""
EXPORTED_SECRETS = {
    "ACME_GATEWAY_SECRET_KEY": SECRETS["ACME_GATEWAY_KEY"],
    "ACME_GATEWAY_HEADER_1": SECRETS["ACME_TENANT"],
}


def export(engine: RunningEngine, keys: Keys, directory: Path) -> Path:
    """Write a project below a directory, with a stack file that names it; return the stack file."""
    with server_of(engine, keys) as server:
        write_files(files_of(read_everything(server)), directory / "exported")
    (directory / "stack.yaml").write_text(STACK)
    return directory / "stack.yaml"


def replan(engine: RunningEngine, keys: Keys, stack_file: Path) -> ProjectPlan:
    desired = desired_state(load(stack_file, "config/stack.yaml").stack.projects[0], EXPORTED_SECRETS)
    with server_of(engine, keys) as server:
        return plan_project(keys.project_id, desired, actual_state(server, desired))


def post(engine: RunningEngine, keys: Keys, path: str, body: dict[str, Any]) -> None:
    with engine.client_for(keys) as client:
        answer = client.post(f"/api/public/{path}", json=body)
        assert answer.is_success, answer.text


def test_an_exported_project_plans_without_a_difference(engine: RunningEngine, tmp_path: Path) -> None:
    keys = engine.provision("export-example")
    apply(engine, keys, copy_of_example(tmp_path / "config"))
    planned = replan(engine, keys, export(engine, keys, tmp_path))
    assert planned.changes == ()
    assert planned.left == ()
    assert planned.kept == 22  # all but the archived item and the archived score config


def test_what_was_made_by_hand_is_exported_too(engine: RunningEngine, tmp_path: Path) -> None:
    keys = engine.provision("export-by-hand")
    for text, labels in (("one", ["production"]), ("two", []), ("one", []), ("three\n\n  four ", [])):
        post(engine, keys, "v2/prompts", {"name": "a/b: c", "prompt": text, "labels": labels})
    post(engine, keys, "v2/datasets", {"name": "golden", "metadata": {"n": 1}})
    for number in range(25):
        body = {"datasetName": "golden", "id": f"by-hand-{number}", "input": [number, None, "ä"]}
        post(engine, keys, "dataset-items", body)
    post(engine, keys, "dataset-items", {"datasetName": "golden", "id": "text", "input": '"007"'})
    for view, kind in (("observations", "HISTOGRAM"), ("scores-boolean", "NUMBER")):
        post(
            engine,
            keys,
            "unstable/dashboard-widgets",
            {
                "name": f"{view} count",
                "view": view,
                "dimensions": [],
                "metrics": [{"measure": "count", "agg": "histogram" if kind == "HISTOGRAM" else "count"}],
                "filters": [],
                "chartType": kind,
            },
        )
    with engine.client_for(keys) as client:
        widgets = client.get("/api/public/unstable/dashboard-widgets").json()["data"]
    placed: list[dict[str, Any]] = [
        {
            "id": f"p{number}",
            "type": "widget",
            "widgetId": one["id"],
            "x": 0,
            "y": 6 * number,
            "width": 4,
            "height": 6,
        }
        for number, one in enumerate(widgets)
    ]
    post(engine, keys, "unstable/dashboards", {"name": "By hand", "definition": {"widgets": placed}})

    stack_file = export(engine, keys, tmp_path)
    planned = replan(engine, keys, stack_file)
    assert planned.changes == ()
    assert planned.left == ()
    assert len((tmp_path / "exported" / "items" / "golden.jsonl").read_text().splitlines()) == 26
    project = load(stack_file, "s.yaml").stack.projects[0]
    assert [version.prompt for version in project.prompts[0].all_versions] == ["one", "three\n\n  four "]


def test_what_files_describe_less_often_is_exported_too(engine: RunningEngine, tmp_path: Path) -> None:
    """A queue for an archived score config, items without input, prompts by version, empty messages."""
    keys = engine.provision("export-odd")
    with engine.client_for(keys) as client:
        config = client.post("/api/public/score-configs", json={"name": "gone", "dataType": "BOOLEAN"}).json()
        post(engine, keys, "annotation-queues", {"name": "review", "scoreConfigIds": [config["id"]]})
        archived = client.patch(f"/api/public/score-configs/{config['id']}", json={"isArchived": True})
        assert archived.is_success, archived.text
    post(engine, keys, "v2/datasets", {"name": "golden"})
    for item in ({"id": "no-input"}, {"id": "false", "input": False, "expectedOutput": 0}):
        post(engine, keys, "dataset-items", {"datasetName": "golden", **item})
    for text, labels in (("x", ["production"]), ("y\n", [])):
        post(engine, keys, "v2/prompts", {"name": "child", "prompt": text, "labels": labels})
    inclusion = "@@@langfusePrompt:name=child|version=1@@@"
    post(engine, keys, "v2/prompts", {"name": "parent", "prompt": inclusion, "labels": []})
    messages = [{"role": "user", "content": ""}, {"type": "placeholder", "name": "history"}]
    post(engine, keys, "v2/prompts", {"name": "chat", "type": "chat", "prompt": messages})
    model = {"modelName": "acme-7b", "matchPattern": "acme", "unit": "TOKENS", "inputPrice": 2e-7}
    post(engine, keys, "models", model)

    planned = replan(engine, keys, export(engine, keys, tmp_path))
    assert planned.changes == ()
    assert planned.left == ()
    assert planned.kept == 9
    assert "input: 0.0000002" in (tmp_path / "exported" / "models.yaml").read_text()


@pytest.mark.parametrize("key", ["4f1c", "0"])
def test_an_exported_project_applies_to_an_empty_one(engine: RunningEngine, tmp_path: Path, key: str) -> None:
    source, target = engine.provision(f"export-from-{key}"), engine.provision(f"export-to-{key}")
    post(engine, source, "score-configs", {"name": f"quality {key}", "dataType": "BOOLEAN"})
    post(
        engine,
        source,
        "v2/prompts",
        {"name": key, "type": "chat", "prompt": [{"role": "user", "content": key}]},
    )
    stack_file = export(engine, source, tmp_path)
    assert apply(engine, target, stack_file) == 2
    assert replan(engine, target, stack_file).changes == ()
