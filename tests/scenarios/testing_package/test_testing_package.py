"""A compose stack for the tests of an application: the example of the documentation, and what goes wrong."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import docker
import pytest

from langfuse_testing import LangfuseFailed
from langfuse_testing.stack import LangfuseStack
from tests.embedded.test_testing_package import run_pytest, write_example
from tests.scenarios.stack import ROOT, Stack


@pytest.fixture
def compose_file(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let compose use the stand-ins."""
    name = stack.context.environment["COMPOSE_FILE"]
    monkeypatch.setenv("COMPOSE_FILE", name)
    return name


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """Fail when a stack of the tests is still there."""
    yield
    with closing(docker.from_env()) as engine:
        for kind in (engine.containers.list(all=True), engine.volumes.list(), engine.networks.list()):
            assert [one.name for one in kind if str(one.name).startswith("langfuse-test-")] == []


def test_the_example_of_the_documentation_runs_on_a_stack_of_its_own(
    tmp_path: Path, compose_file: str, nothing_left: None
) -> None:
    """Unchanged: only a variable says where to. A database of the application's own is left alone."""
    write_example(tmp_path)
    done = run_pytest(
        tmp_path,
        seconds=300,
        PATH=os.environ["PATH"],
        LANGFUSE_TEST_STACK=str(ROOT),
        COMPOSE_FILE=compose_file,
        DATABASE_URL="postgresql://app:app@127.0.0.1:1/app",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_a_stack_that_does_not_start_says_why_and_leaves_nothing(
    compose_file: str, nothing_left: None
) -> None:
    """The words are those of the service that has ended."""
    with pytest.raises(LangfuseFailed, match="REDIS_HOST"), LangfuseStack(ROOT, {"REDIS_HOST": "nowhere"}):
        pytest.fail("it started")
