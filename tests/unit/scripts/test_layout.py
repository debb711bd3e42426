"""Files that only their owner can read, and who that is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scripts.core.host import STRANGER, unprivileged_user
from scripts.core.layout import give_to, write_private

as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
as_user = pytest.mark.skipif(os.getuid() == 0, reason="root can give files away")


def owner(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_uid, found.st_gid


def test_a_private_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    write_private(tmp_path / "credentials" / "kosmos.env", "LANGFUSE_SECRET_KEY=sk-lf-test\n")
    assert (tmp_path / "credentials").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "credentials" / "kosmos.env").stat().st_mode & 0o777 == 0o600


@as_root
def test_what_root_gives_away_stays_with_the_new_owner_when_it_is_written_again(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    write_private(credentials / "kosmos.env", "old\n")
    give_to(credentials, STRANGER, STRANGER)
    write_private(credentials / "kosmos.env", "new\n")
    write_private(credentials / "zeus.env", "new\n")
    paths = [credentials, credentials / "kosmos.env", credentials / "zeus.env"]
    assert {owner(path) for path in paths} == {(STRANGER, STRANGER)}
    assert (credentials / "kosmos.env").stat().st_mode & 0o777 == 0o600


@as_user
def test_a_user_gives_nothing_away(tmp_path: Path) -> None:
    write_private(tmp_path / "kosmos.env", "key\n")
    give_to(tmp_path, STRANGER, STRANGER)
    assert owner(tmp_path / "kosmos.env") == (os.getuid(), os.getgid())


def test_the_user_of_a_container_is_never_root() -> None:
    expected = (STRANGER, STRANGER) if os.getuid() == 0 else (os.getuid(), os.getgid())
    assert unprivileged_user() == expected
