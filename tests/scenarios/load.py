"""Load on a stack while something is done to one of its containers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import docker
import httpx
from docker.models.containers import Container

from tests.waiting import wait_for

from .stack import Stack, export, new_id, wait_readable

SPANS_PER_EXPORT = 5
HEALTHY_WITHIN_S = 90.0


class Load:
    """Sends exports one after the other, and keeps the ids of the spans that were acknowledged."""

    def __init__(self, stack: Stack, pause_s: float = 0.02) -> None:
        self.trace_id = new_id(16)
        self.acknowledged: set[str] = set()
        self.refused = 0
        self._stack = stack
        self._pause_s = pause_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        """Send until told to stop."""
        self._thread.start()

    def stop(self) -> None:
        """Wait for the last answer."""
        self._over.set()
        self._thread.join()

    def go_on_for(self, seconds: float) -> None:
        """Return after a time in which the load goes on: that is how long the fault lasts."""
        self._over.wait(seconds)

    def wait_for(self, more: int) -> None:
        """Return when that many further spans were acknowledged."""
        wanted = len(self.acknowledged) + more
        wait_for(
            lambda: len(self.acknowledged) >= wanted,
            lambda: f"{wanted} acknowledged spans, only {len(self.acknowledged)}",
            HEALTHY_WITHIN_S,
        )

    def lost(self, within_s: float = 60.0) -> set[str]:
        """Return what was acknowledged and cannot be read, once the stack is healthy again."""
        wait_healthy(self._stack)
        with self._stack.client() as client:
            return wait_readable(client, self.trace_id, self.acknowledged, within_s)

    def _run(self) -> None:
        with self._stack.client() as client:
            while not self._over.wait(self._pause_s):
                span_ids = [new_id(8) for _ in range(SPANS_PER_EXPORT)]
                try:
                    answer = export(client, self.trace_id, span_ids)
                except httpx.HTTPError:
                    self.refused += SPANS_PER_EXPORT
                    continue
                if answer.status_code == 200:
                    self.acknowledged |= set(span_ids)
                else:
                    self.refused += SPANS_PER_EXPORT


@contextmanager
def load_on(stack: Stack, before: int = 50, after: int = 50, pause_s: float = 0.02) -> Iterator[Load]:
    """Run the body under load: so many spans are acknowledged before it, and again after it."""
    load = Load(stack, pause_s)
    load.start()
    try:
        load.wait_for(before)
        yield load
        load.wait_for(after)
    finally:
        load.stop()


def sent_around(stack: Stack, work: Callable[[], object]) -> tuple[Load, set[str]]:
    """Do some work under load, and see that it costs nothing; return the load, and what was sent before.

    The worker may have a backlog afterwards, of what came in while it rested.
    """
    load = Load(stack)
    load.start()
    try:
        load.wait_for(200)
        before = set(load.acknowledged)
        work()
        load.wait_for(200)
    finally:
        load.stop()
    with stack.client() as client:
        client.timeout = httpx.Timeout(60)
        missing = wait_readable(client, load.trace_id, load.acknowledged, within_s=300)
    assert missing == set(), "what comes in meanwhile must not be lost"
    return load, before


def container(engine: docker.DockerClient, stack: Stack, service: str) -> Container:
    """Return the container of a service."""
    label = [f"com.docker.compose.project={stack.name}", f"com.docker.compose.service={service}"]
    return engine.containers.list(all=True, filters={"label": label})[0]


def in_container(engine: docker.DockerClient, stack: Stack, service: str, *command: str) -> str:
    """Return what a command prints inside of a service.

    Not by `exec_run`: docker-py loses what arrives together with the headers of the answer (its issue 3332).
    """
    one = container(engine, stack, service)
    done = stack.context.runner.run(["docker", "exec", one.id or "", *command])
    assert done.returncode == 0, done.stderr or done.stdout
    return done.stdout


def wait_healthy(stack: Stack) -> None:
    """Return when every part is healthy again."""
    wait_for(lambda: stack.state().healthy, lambda: stack.state().detail, HEALTHY_WITHIN_S, every_s=0.5)
