"""Once the examples ran, every widget of the shipped dashboards shows something."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from scripts.provision.content import Tile
from tests.embedded.harness import REPOSITORY, RunningEngine
from tests.embedded.provisioning import apply, project_in
from tests.embedded.widgets import widget_query

from .conftest import PYTHON, subprocess_of

STACK_FILES = (REPOSITORY / "examples" / "kosmos" / "stack.yaml", REPOSITORY / "config" / "stack.yaml")
RUNS = (
    ("attribution.py", "--queries=2"),
    ("chat.py", "--gaps=2"),
    ("voice.py", "--turns=1"),
    ("agents.py", "--requests=4"),
    ("rag.py",),
    ("orchestrator.py", "--tasks=4"),
)
TILES = [
    (dashboard.name, tile)
    for file in STACK_FILES
    for dashboard in project_in(file).dashboards
    for tile in dashboard.widgets
]


@pytest.fixture(scope="module")
def _examples_ran(engine: RunningEngine, environment: Mapping[str, str], llm: str) -> None:
    if not PYTHON.exists():
        pytest.skip(f"no packages of client libraries at {PYTHON}: run make test-clients")
    apply(engine, engine.keys, STACK_FILES[0])
    env = {**environment, "OPENAI_BASE_URL": llm, "OPENAI_API_KEY": "sk-test-none"}
    for script, *options in RUNS:
        done = subprocess_of([str(PYTHON), str(REPOSITORY / "examples" / script), *options], env=env)
        assert done.returncode == 0, done.stderr


def says_something(row: Mapping[str, Any], tile: Tile) -> bool:
    """Return whether a row has a value for each dimension and measure of a widget."""
    measured = [f"{one.agg}_{one.measure}" for one in tile.metrics]
    return all(row.get(key) not in (None, 0, [], "") for key in (*tile.dimensions, *measured))


@pytest.mark.usefixtures("_examples_ran")
@pytest.mark.parametrize(("dashboard", "tile"), TILES, ids=[f"{name}: {tile.name}" for name, tile in TILES])
def test_a_widget_shows_what_examples_sent(client: httpx.Client, dashboard: str, tile: Tile) -> None:
    answer = client.get("/api/public/v2/metrics", params={"query": json.dumps(widget_query(tile))})
    assert answer.status_code == 200, answer.text
    rows = answer.json()["data"]
    assert any(says_something(row, tile) for row in rows), f"{dashboard}: {rows[:5]}"
