"""PostgreSQL and ClickHouse into volumes of their own, with the blocks of docs/how-to/upgrade.md."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.core.errors import EXIT_OK
from scripts.data.reconcile import command as reconcile
from tests.scenarios.backup_restore.drill import (
    back_up,
    bring_back,
    content_hash,
    seed,
    with_repository,
)
from tests.scenarios.conftest import MakeStack
from tests.scenarios.stack import ROOT

PAGE = ROOT / "docs" / "how-to" / "upgrade.md"
STAND_INS = {
    "postgres": "langfuse-stack-rehearsal/postgres:18",
    "clickhouse": "langfuse-stack-rehearsal/clickhouse:26.9",
}


def blocks(language: str) -> list[str]:
    """Return the blocks of the page in a language."""
    text = PAGE.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def override_of(store: str) -> str:
    """Return the block that changes a store, with its stand-in as the image."""
    (found,) = [text for text in blocks("yaml") if re.search(rf"^  {store}:$", text, re.MULTILINE)]
    return re.sub(r"image: .*", f"image: {STAND_INS[store]}", found)


def volume_of(store: str) -> str:
    (volume,) = re.findall(r"^volumes:\n  ([\w-]+):$", override_of(store), re.MULTILINE)
    return str(volume)


def commands_for(store: str) -> list[str]:
    (found,) = [text for text in blocks("sh") if f"ONLY={store}" in text]
    return found.strip().splitlines()


@pytest.mark.parametrize("store", sorted(STAND_INS))
def test_a_store_moves_into_a_volume_of_its_own_and_back(
    make_stack: MakeStack, tmp_path: Path, store: str
) -> None:
    stack = with_repository(make_stack(), tmp_path / "repository")
    stack.up()
    seed(stack, 100)
    before = content_hash(stack)
    file = tmp_path / "compose.override.yaml"
    file.write_text(override_of(store), encoding="utf-8")
    moved = stack.with_files(file)

    commands: dict[str, Callable[[], object]] = {
        "make backup": lambda: back_up(stack),
        "# compose.override.yaml": lambda: None,
        f"make restore ONLY={store} REPLACE=1": lambda: _ok(bring_back(moved, replace_data=True, only=store)),
        "make reconcile SINCE=2h": lambda: _ok(
            reconcile.reconcile(moved.context, since="2h", until="", rate=100, check=False)
        ),
    }
    for command in commands_for(store):
        commands[command]()
    assert f"{stack.name}_{volume_of(store)}" in stack.leftovers()["volumes"]
    assert content_hash(moved) == before

    stack.up()
    assert content_hash(stack) == before
    moved.destroy()


def _ok(code: int) -> None:
    assert code == EXIT_OK
