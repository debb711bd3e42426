"""The files of a data directory: who removes or replaces one is noticed with the next write."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from langfuse_embedded.store.storage import Storage

NAMES = ("engine.lock", "state.db", "state.db-wal", "events.db", "events.db-wal")


def _settled(directory: Path) -> Storage:
    """Return the storage of files that nobody has touched for a minute, after a look and another one."""
    directory.mkdir()
    for name in NAMES:
        (directory / name).touch()
    before = time.time() - 60
    os.utime(directory, (before, before))
    storage = Storage(directory)
    assert [storage.is_gone_since(), storage.is_gone_since()] == [False, False]
    return storage


def _replace(directory: Path) -> None:
    (directory / "new").touch()
    (directory / "new").rename(directory / "events.db")


def _swap(directory: Path) -> None:
    directory.rename(directory.with_name("away"))
    shutil.copytree(directory.with_name("away"), directory)


CHANGES: list[Callable[[Path], object]] = [
    lambda directory: (directory / "events.db").unlink(),
    lambda directory: (directory / "engine.lock").rename(directory / "elsewhere"),
    _replace,
    shutil.rmtree,
    _swap,
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_is_gone_or_another_one_is_noticed_with_the_next_write(
    tmp_path: Path, change: Callable[[Path], object]
) -> None:
    storage = _settled(tmp_path / "data")
    change(tmp_path / "data")
    assert storage.is_gone_since()
    assert "takes nothing and stops" in storage.gone
    assert storage.is_gone_since()


def test_other_files_may_come_and_go(tmp_path: Path) -> None:
    storage = _settled(tmp_path / "data")
    (tmp_path / "data" / "metrics.duckdb").touch()
    assert not storage.is_gone_since()
    (tmp_path / "data" / "metrics.duckdb").unlink()
    assert not storage.is_gone_since()


def test_what_changes_at_the_same_moment_as_the_directory_before_is_noticed(tmp_path: Path) -> None:
    storage = _settled(tmp_path / "data")
    (tmp_path / "data" / "metrics.duckdb").touch()
    moment = (tmp_path / "data").stat().st_mtime_ns
    assert not storage.is_gone_since()
    (tmp_path / "data" / "events.db").unlink()
    os.utime(tmp_path / "data", ns=(moment, moment))
    assert storage.is_gone_since()
