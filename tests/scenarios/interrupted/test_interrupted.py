"""Ctrl-C while the stack starts."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import docker
import pytest

from tests.scenarios.report import Report
from tests.scenarios.stack import Stack

CONTAINERS_WITHIN_S = 60.0


@contextmanager
def ctrl_c_as_soon_as_something_runs(engine: docker.DockerClient, stack: Stack) -> Iterator[None]:
    """Interrupt this process when the first container of the stack runs."""
    over = threading.Event()

    def watch() -> None:
        label = {"label": f"com.docker.compose.project={stack.name}"}
        for _ in range(int(CONTAINERS_WITHIN_S / 0.1)):
            if engine.containers.list(filters=label):
                os.kill(os.getpid(), signal.SIGINT)
                return
            if over.wait(0.1):
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def test_an_interrupted_first_start_leaves_nothing_and_can_be_repeated(
    stack: Stack, engine: docker.DockerClient, report: Report
) -> None:
    """Also no volume: in one of them PostgreSQL was making its database, which nobody would end."""
    report.add("interrupted", "Ctrl-C in a first start")
    with pytest.raises(KeyboardInterrupt), ctrl_c_as_soon_as_something_runs(engine, stack):
        stack.up()
    assert stack.leftovers() == {}
    assert not stack.state().running

    stack.up()
    assert stack.state().healthy


def test_an_interrupted_start_of_a_running_stack_leaves_it_running(
    stack: Stack, engine: docker.DockerClient, report: Report
) -> None:
    """What was there before is not taken down."""
    report.add("interrupted", "Ctrl-C in a later start")
    with pytest.raises(KeyboardInterrupt), ctrl_c_as_soon_as_something_runs(engine, stack):
        stack.up()
    assert stack.state().running
    stack.up()
    assert stack.state().healthy
