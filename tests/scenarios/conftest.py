"""Stacks for scenarios. Whatever a scenario did, no container, network or volume of it stays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import docker
import pytest

from scripts.core.errors import StackError

from .stack import Stack, new_stack


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this directory as a scenario."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.scenario)


@pytest.fixture(scope="module")
def make_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Stack]]:
    """Return a function that makes a stack, not started yet; all are destroyed after the module."""
    made: list[Stack] = []

    def make() -> Stack:
        made.append(new_stack(tmp_path_factory.mktemp("stack")))
        return made[-1]

    yield make
    left = {}
    for stack in made:
        try:
            stack.destroy()
        except StackError as error:
            left[stack.name] = str(error)
        if rest := stack.leftovers():
            left[stack.name] = str(rest)
    assert not left


@pytest.fixture(scope="module")
def stack(make_stack: Callable[[], Stack]) -> Stack:
    """Return one stack, not started yet."""
    return make_stack()


@pytest.fixture(scope="module")
def engine() -> Iterator[docker.DockerClient]:
    """Return a client of the Docker engine."""
    with closing(docker.from_env()) as client:
        yield client
