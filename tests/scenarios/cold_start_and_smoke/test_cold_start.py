"""A first `make up` on an empty host, then `make smoke`."""

from __future__ import annotations

import pytest

from tests.scenarios.stack import Stack

SERVICES = {"clickhouse", "langfuse-web", "langfuse-worker", "postgres", "seaweedfs", "valkey"}


@pytest.fixture(scope="module")
def running(stack: Stack) -> Stack:
    """Return the stack after its first start."""
    assert stack.leftovers() == {}
    stack.up()
    return stack


def test_all_services_are_healthy_after_up(running: Stack) -> None:
    """`up` came back, so nothing may still be starting."""
    state = running.state()
    assert state.healthy, state.detail
    assert {part.name: part.health for part in state.parts} == dict.fromkeys(SERVICES, "healthy")


def test_every_project_of_the_stack_file_has_a_key_that_works(running: Stack) -> None:
    """Also those that a second web container has created beside the running one."""
    for project in ("kosmos", "zeus"):
        with running.client(running.keys(project)) as client:
            found = client.get("/api/public/projects").raise_for_status().json()["data"]
        assert [one["id"] for one in found] == [project]


def test_the_smoke_tests_pass(running: Stack) -> None:
    """The same suite as on any other Langfuse."""
    assert running.smoke() == 0
