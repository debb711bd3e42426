"""Provisioning against a running engine: load a configuration, plan it, apply it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from scripts.api.client import CONCURRENCY
from scripts.provision.apply import apply_project, nothing
from scripts.provision.loading import load
from scripts.provision.plan import ProjectPlan, actual_state, desired_state, plan_project
from scripts.provision.resources import Change
from scripts.provision.server import Server
from scripts.provision.stack import Project

from .harness import REPOSITORY, Keys, RunningEngine

EXAMPLE = REPOSITORY / "tests" / "unit" / "provision" / "example"
SECRETS = {"ACME_GATEWAY_KEY": "test-gateway-key-1", "ACME_TENANT": "acme"}
# The engine looks names up and calls nobody: a public address needs no name server.
EXAMPLE_URL = "https://llm.acme.example/v1"
REACHABLE_URL = "https://8.8.8.8/v1"


def copy_of_example(into: Path) -> Path:
    """Copy the example configuration to a new directory; return its stack file."""
    shutil.copytree(EXAMPLE, into)
    rest = into / "rest.yaml"
    rest.write_text(rest.read_text().replace(EXAMPLE_URL, REACHABLE_URL))
    return into / "stack.yaml"


def project_in(stack_file: Path) -> Project:
    """Return the first project of a stack file."""
    return load(stack_file, "config/stack.yaml").stack.projects[0]


def server_of(engine: RunningEngine, keys: Keys, concurrency: int = CONCURRENCY) -> Server:
    """Return the API of one project."""
    return Server(engine.base_url, keys.public_key, keys.secret_key, concurrency=concurrency)


def plan(engine: RunningEngine, keys: Keys, stack_file: Path, *, prune: bool = False) -> ProjectPlan:
    """Return what the configuration would change."""
    desired = desired_state(project_in(stack_file), SECRETS)
    with server_of(engine, keys) as server:
        return plan_project(keys.project_id, desired, actual_state(server, desired), prune=prune)


def apply(
    engine: RunningEngine,
    keys: Keys,
    stack_file: Path,
    *,
    prune: bool = False,
    done: Callable[[Change], None] = nothing,
    concurrency: int = CONCURRENCY,
) -> int:
    """Plan and apply a configuration; return how many changes were made."""
    desired = desired_state(project_in(stack_file), SECRETS)
    with server_of(engine, keys, concurrency) as server:
        wanted = plan_project(keys.project_id, desired, actual_state(server, desired), prune=prune)
        return apply_project(server, wanted, done)


def shown(changes: ProjectPlan) -> list[tuple[str, str, str]]:
    """Return the changes of a plan in short: action, kind, key."""
    return [(str(one.action), one.kind, one.key) for one in changes.changes]
