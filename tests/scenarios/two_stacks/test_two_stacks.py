"""Two stacks on one host."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from scripts.core.errors import UsageError
from tests.scenarios.report import Report
from tests.scenarios.stack import ROOT, Stack, export, new_id, other_checkout, readable, wait_readable


def refuse_everything(other: Stack, owner: Stack) -> None:
    """Assert that another checkout of that name starts, stops and deletes nothing, and names the owner."""
    before = owner.leftovers()
    for command in (other.up, other.down, other.destroy):
        with pytest.raises(UsageError, match="not those of this checkout; nothing was changed") as caught:
            command()
        paths = (other.context.layout.root, owner.context.layout.root)
        assert all(str(path) in line for path, line in zip(paths, caught.value.details, strict=False))
    assert owner.leftovers() == before
    assert not other.context.layout.env_file.exists()


def test_a_name_in_the_shell_does_not_lead_to_another_stack(shared: Stack, tmp_path: Path) -> None:
    """A checkout whose shell carries the name and files of another project touches nothing of it."""
    other = other_checkout(shared, tmp_path / "checkout")
    environment = {**other.context.environment, "COMPOSE_FILE": str(ROOT / "compose.yaml")}
    for command in (["down"], ["destroy", "--yes"]):
        argv = [sys.executable, "-m", "scripts", *command]
        done = subprocess.run(
            argv, cwd=other.context.layout.root, env=environment, capture_output=True, text=True, check=False
        )
        assert f"COMPOSE_PROJECT_NAME={shared.name} in the environment" in done.stderr
        assert "COMPOSE_FILE=" in done.stderr
    assert shared.state().healthy


def test_two_stacks_share_neither_keys_nor_data_nor_fate(
    shared: Stack, stack: Stack, report: Report, tmp_path: Path
) -> None:
    """A key or a trace of one means nothing to the other, and one outlives the other."""
    stack.up()
    trace_id, span_ids = new_id(16), {new_id(8)}
    with shared.client() as client:
        assert export(client, trace_id, sorted(span_ids)).status_code == 200
        assert wait_readable(client, trace_id, span_ids) == set()
    with stack.client() as client:
        assert readable(client, trace_id) == set()
    with stack.client(shared.keys()) as stranger:
        assert stranger.get("/api/public/projects").status_code == 401

    refuse_everything(other_checkout(stack, tmp_path / "one that looks on"), stack)
    stack.down()
    assert set(stack.leftovers()) == {"volumes"}
    refuse_everything(other_checkout(stack, tmp_path / "one that comes later"), stack)
    stack.destroy()
    assert stack.leftovers() == {}
    assert shared.state().healthy
    with shared.client() as client:
        lost = span_ids - readable(client, trace_id)
    report.add("two_stacks", "the other one destroyed", acknowledged=len(span_ids), lost=len(lost))
    assert lost == set()
