"""Stacks for scenarios. Whatever a scenario did, no container, network or volume of it stays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import docker
import pytest

from scripts.core.errors import StackError

from .extras import Extras, start
from .load import wait_healthy
from .processes import ByStack, require_listed
from .report import Report, Table
from .stack import Stack, new_stack

HERE = Path(__file__).parent
# What `make rehearse` runs by itself: the stack and what may happen to it. The others are drills, mostly on
# stacks of their own: make rehearse ARGS="-m slow".
QUICK = frozenset(
    (
        "cold_start_and_smoke",
        "external_stores",
        "image_missing",
        "monitoring",
        "old_env",
        "other_user",
        "port_taken",
        "second_start_keeps_data",
        "small_size",
        "store_away",
        "tls",
        "two_stacks",
        "volume_missing",
        "worker_faults",
        "wrong_password",
        "wrong_secret",
    )
)

MakeStack = Callable[[], Stack]


def pytest_configure(config: pytest.Config) -> None:
    """Begin the table that is printed at the end."""
    config.pluginmanager.register(Table(), "scenarios")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByStack:
    """Keep together what shares a stack."""
    return ByStack(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this directory as a scenario, and what takes long as slow."""
    for item in items:
        if item.path.is_relative_to(HERE):
            require_listed(item)
            item.add_marker(pytest.mark.scenario)
            if item.path.parent.name not in QUICK:
                item.add_marker(pytest.mark.slow)


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Report:
    """Return where a scenario writes down which fault it has injected and what it cost."""
    return Report(request.node.user_properties)


@pytest.fixture(scope="module")
def make_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeStack]:
    """Return a function that makes a stack, not started yet; all are destroyed after the module."""
    with _stacks(tmp_path_factory) as make:
        yield make


@pytest.fixture(scope="module")
def stack(make_stack: MakeStack) -> Stack:
    """Return one stack, not started yet."""
    return make_stack()


@pytest.fixture(scope="session")
def first_start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return the stack that scenarios share, as its first start has left it."""
    with _stacks(tmp_path_factory) as make:
        stack = make()
        assert stack.leftovers() == {}
        stack.up()
        yield stack


@pytest.fixture
def shared(first_start: Stack) -> Stack:
    """Return the shared stack, running and healthy. A scenario leaves it as it found it: running."""
    wait_healthy(first_start)
    return first_start


@pytest.fixture(scope="session")
def extras(tmp_path_factory: pytest.TempPathFactory, engine: docker.DockerClient) -> Iterator[Extras]:
    """Return a second shared stack, with HTTPS and monitoring."""
    with _stacks(tmp_path_factory) as make:
        yield start(make(), tmp_path_factory.mktemp("extras"), engine)


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """Return a client of the Docker engine."""
    with closing(docker.from_env()) as client:
        yield client


@contextmanager
def _stacks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeStack]:
    made: list[Stack] = []

    def make() -> Stack:
        made.append(new_stack(tmp_path_factory.mktemp("stack")))
        return made[-1]

    yield make
    left = {}
    # The last one first: it may use a network of one before it.
    for stack in reversed(made):
        try:
            stack.destroy()
        except StackError as error:
            left[stack.name] = str(error)
        if rest := stack.leftovers():
            left[stack.name] = str(rest)
    assert not left
