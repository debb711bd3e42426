"""Reconciling on the embedded engine: its record against what is derived from it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from scripts.core.errors import EXIT_DRIFT, EXIT_OK
from scripts.core.heartbeats import heartbeats_dir, last_successes
from scripts.data.reconcile import command

from .backups import QUICK, Stack, fill, stack_in

pytestmark = pytest.mark.slow


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A running stack with a hundred observations, whose metrics have been asked for."""
    made = stack_in(tmp_path / "stack", QUICK)
    made.up()
    with made.client() as client:
        fill(client, traces=20)
    yield made
    made.stop()


def reconcile(stack: Stack) -> int:
    """Compare everything up to now."""
    until = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    return command.reconcile(stack.context, since="1h", until=until, rate=100, check=True)


def test_record_and_metrics_agree(stack: Stack) -> None:
    assert reconcile(stack) == EXIT_OK
    assert "100 spans" in stack.screen.out.getvalue()
    assert "reconcile" in last_successes(heartbeats_dir(stack.layout))


def test_metrics_that_lack_observations_are_noticed(stack: Stack) -> None:
    assert reconcile(stack) == EXIT_OK
    (heartbeats_dir(stack.layout) / "reconcile").unlink()
    stack.stop()
    with duckdb.connect(str(stack.layout.embedded_dir / "metrics.duckdb")) as projection:
        projection.execute("delete from observations where rowid % 4 = 0")
    stack.up()
    assert reconcile(stack) == EXIT_DRIFT
    assert "25 missing" in stack.screen.out.getvalue()
    assert "reconcile" not in last_successes(heartbeats_dir(stack.layout))
