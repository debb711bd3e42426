"""Archives of other programs: their files arrive, and nothing leaves the directory that they go to."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from scripts.core.archives import unpack


def archive_of(*members: tarfile.TarInfo, content: bytes = b"new") -> io.BytesIO:
    """Return an archive as a stream."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for member in members:
            member.size = len(content) if member.isreg() else 0
            archive.addfile(member, io.BytesIO(content) if member.isreg() else None)
    stream.seek(0)
    return stream


def unpacked(stream: io.BytesIO, into: Path) -> None:
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        unpack(archive, into)


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o6777) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, mode
    return info


def test_files_folders_and_second_names_arrive_readable_by_their_owner_only(tmp_path: Path) -> None:
    members = (
        member("./a", tarfile.DIRTYPE),
        member("./a/b"),
        member("./c/d"),
        member("e", tarfile.LNKTYPE, "a/b"),
    )
    unpacked(archive_of(*members), tmp_path)
    for name in ("a/b", "c/d", "e"):
        assert (tmp_path / name).read_bytes() == b"new"
        assert (tmp_path / name).stat().st_mode & 0o7777 == 0o600


@pytest.mark.parametrize(
    "hostile",
    [
        member("../outside"),
        member("/absolute/outside"),
        member("a/../../outside"),
        member("link", tarfile.SYMTYPE, "/etc/hostname"),
        member("link", tarfile.SYMTYPE, "beside"),
        member("name", tarfile.LNKTYPE, "../outside"),
        member("pipe", tarfile.FIFOTYPE),
        member("device", tarfile.CHRTYPE),
    ],
    ids=lambda info: f"{info.name} -> {info.linkname}" if info.linkname else info.name,
)
def test_what_is_no_file_or_leads_out_is_refused(tmp_path: Path, hostile: tarfile.TarInfo) -> None:
    (tmp_path / "outside").write_bytes(b"old")
    with pytest.raises(tarfile.TarError, match=r"outside of the archive|neither a file nor a folder"):
        unpacked(archive_of(hostile), tmp_path / "into")
    assert (tmp_path / "outside").read_bytes() == b"old"
    assert {path.name for path in tmp_path.iterdir()} <= {"into", "outside"}


def test_a_link_that_was_there_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"old")
    (tmp_path / "into").mkdir()
    (tmp_path / "into" / "a").symlink_to(tmp_path / "outside")
    with pytest.raises(FileExistsError):
        unpacked(archive_of(member("a")), tmp_path / "into")
    assert (tmp_path / "outside").read_bytes() == b"old"
