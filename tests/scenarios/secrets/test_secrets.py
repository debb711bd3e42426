"""No command shows a secret on the compose engine: all processes of the host are seen, in containers too."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command_lines import CommandLines
from tests.scenarios.conftest import MakeStack
from tests.scenarios.stack import ROOT, Stack, other_checkout
from tests.secrecy import ANY, Call, Told, run_calls

# In the order of a stack's life.
CALLS = (
    Call("up"),
    Call("status --json"),
    Call("bootstrap --yes"),
    Call("smoke -q smoke_tests/test_access.py"),
    Call("doctor --verbose", ANY),
    Call("backup"),
    Call("backup-verify"),
    Call("restore --replace --no-smoke"),
    Call("reconcile"),
    Call("erase user nobody --yes", ANY),
    Call("rotate POSTGRES_PASSWORD --yes"),
    Call("rotate CLICKHOUSE_PASSWORD --yes"),
    Call("rotate REDIS_AUTH --yes"),
    Call("rotate S3_SECRET_ACCESS_KEY --yes", ANY),
    Call("rotate MONITOR_PASSWORD --yes", ANY),
    Call("rotate ENCRYPTION_KEY --yes", ANY),
    Call("upgrade --check 4.60.0", ANY),
    Call("support-bundle"),
    Call("logs --lines 1000"),
    Call("down"),
)
SECONDS_OF_A_CALL = 600.0
SERVERS = ("postgres", "valkey-server", "weed", "langfuse_embedded", "prometheus")


@pytest.fixture(scope="module")
def told(make_stack: MakeStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """Run the commands of a checkout, with every profile, while the command lines of the host are watched."""
    directory = tmp_path_factory.mktemp("hidden")
    watcher = CommandLines(directory / "seen")
    stack = make_stack()
    stack = other_checkout(stack, directory / "checkout")
    with watcher:
        yield _told(stack, directory / "checkout", watcher)


def _told(stack: Stack, root: Path, watcher: CommandLines) -> Told:
    (root / ".venv").symlink_to((ROOT / ".venv").resolve())
    environment = {**stack.context.environment, "STACK_PROFILES": "monitoring", **watcher.environment}

    def run(line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", line],
            cwd=root,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS_OF_A_CALL,
        )

    try:
        told = run_calls(root, CALLS, run)
    finally:
        stack.destroy()
    told.lines = watcher.seen()
    return told


def test_every_command_did_what_it_is_for(told: Told) -> None:
    assert told.failed == {}


def test_all_kinds_of_secrets_were_looked_for(told: Told) -> None:
    names = set(told.secrets.values())
    wanted = {"POSTGRES_PASSWORD", "CLICKHOUSE_PASSWORD", "REDIS_AUTH", "MONITOR_PASSWORD", "SALT"}
    assert {*wanted, *(f"rotated {name}" for name in wanted - {"SALT", "MONITOR_PASSWORD"})} <= names, names


def test_no_process_of_the_host_has_a_secret_among_its_arguments(told: Told) -> None:
    for server in SERVERS:
        assert any(server in line for line in told.lines), f"no process of {server} was seen"
    assert told.leaks("\n".join(told.lines)) == []


def test_no_command_prints_a_secret(told: Told) -> None:
    assert told.printed_secrets() == {}


def test_no_file_has_a_secret_but_those_that_are_for_it(told: Told) -> None:
    assert told.left_secrets() == {}
