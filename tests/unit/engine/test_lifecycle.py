"""One engine a data directory, one engine a port; refusals say what to do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from langfuse_embedded.errors import DataDirectoryError, DirectoryInUse, EngineError
from langfuse_embedded.lifecycle import bind, data_directory


def test_the_directory_is_created_for_this_user_alone_and_shows_the_process(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "data"
    with data_directory(path):
        assert (path / "engine.pid").read_text() == f"{os.getpid()}\n"
        assert path.stat().st_mode & 0o777 == 0o700
    assert not (path / "engine.pid").exists()


def test_a_second_engine_is_refused_and_told_who_was_first(tmp_path: Path) -> None:
    with (
        data_directory(tmp_path),
        pytest.raises(DirectoryInUse, match=f"process {os.getpid()}"),
        data_directory(tmp_path),
    ):
        pass


def test_a_lock_file_left_by_a_killed_engine_does_not_block(tmp_path: Path) -> None:
    (tmp_path / "engine.lock").touch()
    (tmp_path / "engine.pid").write_text("999999\n")
    with data_directory(tmp_path):
        assert (tmp_path / "engine.pid").read_text() == f"{os.getpid()}\n"


def test_a_path_that_is_no_directory_is_explained(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(DataDirectoryError, match="Cannot use"), data_directory(file / "data"):
        pass


def test_a_taken_port_is_named_with_what_to_do() -> None:
    with bind("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(EngineError, match=rf"Cannot listen on 127\.0\.0\.1:{port}.*another"):
            bind("127.0.0.1", port)
