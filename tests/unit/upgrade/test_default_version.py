"""Another default in the repository does not migrate a stack by the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.core import host
from scripts.core.runner import Completed
from scripts.engines.base import Obstacle
from scripts.engines.compose import ComposeEngine
from tests.unit.scripts.fakes import FakeRunner, QuietProgress, jumping_clock, layout_in, settings_with

VOLUMES = {"docker volume ls": Completed(0, "stack_postgres\nstack_clickhouse\nstack_valkey\nstack_s3\n")}


@pytest.fixture(autouse=True)
def _room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "free_bytes", lambda _: 2**40)
    monkeypatch.setattr(host, "port_state", lambda *_: host.PortState.FREE)


def engine_in(directory: Path, *, volumes: bool = True, **environment: str) -> ComposeEngine:
    settings = settings_with(COMPOSE_PROJECT_NAME="stack", **environment)
    runner = FakeRunner(dict(VOLUMES) if volumes else {})
    clock = jumping_clock()
    return ComposeEngine(layout_in(directory), settings, environment, runner, QuietProgress(), clock=clock)


def ran(directory: Path, version: str) -> None:
    layout = layout_in(directory)
    layout.stack_dir.mkdir(exist_ok=True)
    layout.langfuse_version_file.write_text(f"{version}\n")


def test_a_start_notes_its_version(tmp_path: Path) -> None:
    engine = engine_in(tmp_path)
    engine.start({})
    assert engine.layout.langfuse_version_file.read_text().strip() == engine.settings["LANGFUSE_VERSION"]
    assert list(engine.obstacles()) == []


def test_another_default_is_an_obstacle(tmp_path: Path) -> None:
    ran(tmp_path, "4.1.0")
    (obstacle,) = engine_in(tmp_path).obstacles()
    assert isinstance(obstacle, Obstacle)
    assert "this stack ran 4.1.0" in obstacle.reason
    assert "make upgrade" in obstacle.fix
    assert "LANGFUSE_VERSION=4.1.0" in obstacle.fix


def test_a_version_that_somebody_has_chosen_is_none(tmp_path: Path) -> None:
    ran(tmp_path, "4.1.0")
    assert list(engine_in(tmp_path, LANGFUSE_VERSION="4.2.0").obstacles()) == []
    (tmp_path / ".env").write_text("LANGFUSE_VERSION=4.59.0\n")
    assert list(engine_in(tmp_path).obstacles()) == []


def test_a_stack_without_data_starts_in_any_version(tmp_path: Path) -> None:
    ran(tmp_path, "4.1.0")
    assert list(engine_in(tmp_path, volumes=False).obstacles()) == []
