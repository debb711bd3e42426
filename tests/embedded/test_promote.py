"""Promotion, as far as it needs no Docker: what it refuses, and what a failure leaves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.core.errors import EngineError, UsageError
from scripts.data.transfer import promote
from scripts.data.transfer.files import load_manifest

from .backups import QUICK, Stack, everything, fill, stack_in

pytestmark = pytest.mark.slow


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    made = stack_in(tmp_path / "stack", QUICK)
    made.up()
    yield made
    made.stop()


def test_after_a_failure_the_embedded_engine_goes_on_with_all_it_had(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stack.client() as client:
        fill(client, traces=4)
        before = everything(client)
    exported = []

    def fail(*_: object) -> None:
        assert not stack.running(), "both engines want the same port"
        manifest = load_manifest(stack.layout.stack_dir / "promote" / "kosmos")
        exported.append(manifest.rows("observations") if manifest else 0)
        raise EngineError("the images are gone")

    monkeypatch.setattr("scripts.data.transfer.promote.start_stack", fail)
    monkeypatch.setattr("scripts.engines.compose.ComposeEngine.stop", lambda _: False)
    with pytest.raises(EngineError, match="images are gone"):
        promote.promote(stack.context, dry_run=False)
    assert exported == [20]
    assert stack.layout.engine_file.read_text() == "embedded\n"
    with stack.client() as client:
        assert everything(client) == before


def test_a_dry_run_only_says_what_would_be_moved(stack: Stack) -> None:
    assert promote.promote(stack.context, dry_run=True) == 0
    assert "kosmos, zeus" in stack.screen.err.getvalue()
    assert stack.running()
    assert not (stack.layout.stack_dir / "promote").exists()


def test_a_stack_without_data_on_the_embedded_engine_is_refused(tmp_path: Path) -> None:
    elsewhere = stack_in(tmp_path / "other", QUICK).with_environment(
        BACKUP_PASSWORD="0" * 64, LANGFUSE_INIT_USER_PASSWORD="password-of-test"
    )
    with pytest.raises(UsageError, match="nothing to promote"):
        promote.promote(elsewhere.context, dry_run=False)
