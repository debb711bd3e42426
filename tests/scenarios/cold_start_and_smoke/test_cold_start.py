"""A first `make up` on an empty host, then `make smoke`."""

from __future__ import annotations

from tests.scenarios.stack import Stack

SERVICES = {"clickhouse", "langfuse-web", "langfuse-worker", "postgres", "seaweedfs", "valkey"}


def test_all_services_are_healthy_after_up(first_start: Stack) -> None:
    """`up` came back, so nothing may still be starting."""
    state = first_start.state()
    assert state.healthy, state.detail
    assert {part.name: part.health for part in state.parts} == dict.fromkeys(SERVICES, "healthy")


def test_every_project_of_the_stack_file_has_a_key_that_works(first_start: Stack) -> None:
    """Also those that a second web container has created beside the running one."""
    for project in ("kosmos", "zeus"):
        with first_start.client(first_start.keys(project)) as client:
            found = client.get("/api/public/projects").raise_for_status().json()["data"]
        assert [one["id"] for one in found] == [project]


def test_the_smoke_tests_pass(first_start: Stack) -> None:
    """The same suite as on any other Langfuse, without its examples: they take minutes."""
    assert first_start.smoke(["-k", "not example"]) == 0
