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


@as_root
def test_giving_a_directory_follows_no_link_and_takes_no_second_name(tmp_path: Path) -> None:
    outside, directory = tmp_path / "outside", tmp_path / "given"
    outside.write_text("of root")
    directory.mkdir()
    (directory / "plain").write_text("x")
    (directory / "link").symlink_to(outside)
    (directory / "second name").hardlink_to(outside)
    os.mkfifo(directory / "pipe")
    (directory / "folder").mkdir()
    give_to(directory, 65532, 65532)
    assert [directory.stat().st_uid, (directory / "plain").stat().st_uid] == [65532, 65532]
    assert outside.stat().st_uid == 0
    assert (directory / "folder").stat().st_uid == 0


@as_root
def test_a_directory_that_is_a_link_is_not_given(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        give_to(tmp_path / "link", 65532, 65532)
    assert (tmp_path / "real").stat().st_uid == 0


def test_a_private_file_is_not_written_through_a_link_that_lies_in_its_way(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("precious")
    (tmp_path / f".secret.{os.getpid()}").symlink_to(outside)
    (tmp_path / "secret").symlink_to(outside)
    write_private(tmp_path / "secret", "new")
    assert outside.read_text() == "precious"
    assert (tmp_path / "secret").read_text() == "new"
    assert not (tmp_path / "secret").is_symlink()
