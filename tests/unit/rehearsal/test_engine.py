"""Which engine a rehearsal takes, and where one of its own keeps its images."""

from __future__ import annotations

import fcntl
import shutil
from pathlib import Path

import pytest

from rehearsal import engine
from scripts.core.errors import EngineError, UsageError
from scripts.core.runner import Completed
from tests.unit.scripts.fakes import Answer, FakeRunner

ANSWERS: dict[str, Answer] = {
    "docker version": Completed(0, "26.1.5\n"),
    "docker compose version": Completed(0, "2.26.1\n"),
}
SILENT: dict[str, Answer] = {"docker version": Completed(1)}


@pytest.fixture(autouse=True)
def _may_start_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(shutil, "which", lambda program: f"/usr/bin/{program}")
    monkeypatch.setattr("os.geteuid", lambda: 0)


def test_an_engine_that_answers_is_taken_and_no_cache_is_made(tmp_path: Path) -> None:
    with engine.docker_engine(FakeRunner(ANSWERS), tmp_path / "cache") as said:
        assert said == "Docker 26.1.5 answers"
    assert list(tmp_path.iterdir()) == []


def test_no_engine_is_started_beside_one_that_a_variable_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    with pytest.raises(UsageError, match="no Docker engine answers"):
        engine.docker_engine(FakeRunner(SILENT), tmp_path).__enter__()


def test_a_user_who_may_not_start_one_is_told_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(UsageError, match="needs Docker") as caught:
        engine.docker_engine(FakeRunner(SILENT), tmp_path).__enter__()
    assert caught.value.fix == "start Docker, then repeat."


def test_a_cache_that_another_rehearsal_uses_is_left_alone(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(EngineError, match=f"Another rehearsal uses {tmp_path}"):
            engine.docker_engine(FakeRunner(SILENT), tmp_path).__enter__()
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"XDG_CACHE_HOME": "/var/cache/ci"}, Path("/var/cache/ci/langfuse-stack/rehearsal")),
        ({"XDG_CACHE_HOME": ""}, Path.home() / ".cache/langfuse-stack/rehearsal"),
        ({}, Path.home() / ".cache/langfuse-stack/rehearsal"),
    ],
)
def test_images_are_kept_outside_of_the_checkout(environment: dict[str, str], expected: Path) -> None:
    assert engine.cache_directory(environment) == expected
