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
    """An engine in `events_only` mode that the tests of a module share: use new ids in each test."""
    running = RunningEngine(tmp_path_factory.mktemp("engine") / "data").start()
    yield running
    assert running.stop() == 0, running.log()


@pytest.fixture(scope="module")
def client(engine: RunningEngine) -> httpx.Client:
    """An HTTP client with the keys of the default project."""
    return engine.client


@pytest.fixture
def start_engine(tmp_path: Path) -> Iterator[StartEngine]:
    """A function that starts another engine: `start_engine(INGEST_LAG_MS="200")`.

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


RECORDINGS = Path(os.environ.get("LANGFUSE_REFERENCE_DIR") or REPOSITORY.parent / "shared" / "reference")
"""What a real server answered, and its description: outside of the repository."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the comparisons with a real server where its recordings are not at hand."""
    if RECORDINGS.is_dir():
        return
    kept: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        compares = "reference_dir" in getattr(item, "fixturenames", ())
        (left_out if compares else kept).append(item)
    config.hook.pytest_deselected(items=left_out)
    items[:] = kept


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say once what was left out."""
    if not RECORDINGS.is_dir():
        terminalreporter.write_line(
            "Left out: comparisons with recordings of a real server, which are not part"
        )
        terminalreporter.write_line("of this repository (docs/reference/conformance.md).")


@pytest.fixture(scope="session")
def reference_dir() -> Path:
    """The recordings and vectors of a real server."""
    return RECORDINGS
