"""Fixtures of the embedded engine: one per test module, or several with settings of their own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from .browsing import open_browser  # noqa: F401 - a fixture
from .harness import REPOSITORY, RunningEngine

StartEngine = Callable[..., RunningEngine]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    """An engine in `events_only` mode that the tests of a module share: use ids of your own in each test."""
    running = RunningEngine(tmp_path_factory.mktemp("engine") / "data").start()
    yield running
    assert running.stop() == 0, running.log()


@pytest.fixture(scope="module")
def client(engine: RunningEngine) -> httpx.Client:
    """An HTTP client with the keys of the default project."""
    return engine.client


@pytest.fixture
def start_engine(tmp_path: Path) -> Iterator[StartEngine]:
    """A function that starts an engine of one's own: `start_engine(INGEST_LAG_MS="200")`.

    Upper-case arguments are environment variables; `data_dir` names a directory to go on with.
    """
    started: list[RunningEngine] = []

    def start(data_dir: Path | None = None, **environment: str) -> RunningEngine:
        running = RunningEngine(data_dir or tmp_path / f"engine-{len(started)}", environment)
        started.append(running)
        return running.start()

    yield start
    for running in started:
        running.stop()


@pytest.fixture(scope="session")
def reference_dir() -> Path:
    """The recordings and vectors of a real server, which live outside the repository."""
    named = os.environ.get("LANGFUSE_REFERENCE_DIR")
    path = Path(named) if named else REPOSITORY.parent / "shared" / "reference"
    if not path.is_dir():
        pytest.skip(f"no reference recordings at {path}: set LANGFUSE_REFERENCE_DIR")
    return path
