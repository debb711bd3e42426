"""What `install-bundle.sh` takes: plain files with a checksum; and that a failure leaves nothing behind."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.waiting import wait_for

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "install-bundle.sh"
BROKEN = "#!/bin/sh\necho false\n"  # instead of a Python: the environment cannot be made
TIMEOUT_S = 60


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, mode
    return info


def packed(files: Sequence[tuple[tarfile.TarInfo, bytes]], mode: str = "w") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
        for info, content in files:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def bundle_in(
    directory: Path, *more: tuple[tarfile.TarInfo, bytes], find_python: str = BROKEN, listed: str = ""
) -> Path:
    """Write a bundle with right checksums, and `more` in it."""
    repository = packed([(member("scripts/find-python.sh"), find_python.encode())], "w:gz")
    files = {"repository.tar.gz": repository, "wheels/one.whl": b"wheel"}
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items())
    whole = [(member(name), content) for name, content in files.items()]
    whole.append((member("SHA256SUMS"), (sums + listed).encode()))
    path = directory / "bundle.tar"
    path.write_bytes(packed([*whole, *more]))
    return path


def install(bundle: Path, into: Path) -> subprocess.CompletedProcess[str]:
    argv = ["sh", str(SCRIPT), str(bundle), str(into), "unsigned"]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)


@pytest.mark.parametrize(
    "extra",
    [
        (member("wheels/evil.whl"), b"evil"),
        (member(".found"), b"evil"),
        (member("SHA256SUMS.sig.py"), b"evil"),
        (member("wheels/SHA256SUMS"), b"evil"),
        (member("images.tar.zst"), b"evil"),
    ],
    ids=lambda extra: extra[0].name,
)
def test_a_file_without_a_checksum_is_refused(tmp_path: Path, extra: tuple[tarfile.TarInfo, bytes]) -> None:
    done = install(bundle_in(tmp_path, extra), tmp_path / "srv")
    assert done.returncode == 1
    assert "holds files without a checksum" in done.stderr
    assert not (tmp_path / "srv").exists()


@pytest.mark.parametrize(
    "extra",
    [
        member("wheels/link.whl", tarfile.SYMTYPE, "/etc/hostname"),
        member("images.tar.zst", tarfile.SYMTYPE, "/etc/hostname"),
        member("link", tarfile.SYMTYPE, "wheels/one.whl"),
        member("second", tarfile.LNKTYPE, "wheels/one.whl"),
        member("wheels/pipe", tarfile.FIFOTYPE),
        member("SHA256SUMS.sig", tarfile.FIFOTYPE),
        member("folder", tarfile.SYMTYPE, "/"),
    ],
    ids=lambda info: info.name,
)
def test_what_is_no_plain_file_is_refused_and_nothing_waits_for_it(
    tmp_path: Path, extra: tarfile.TarInfo
) -> None:
    done = install(bundle_in(tmp_path, (extra, b"")), tmp_path / "srv")
    assert done.returncode == 1
    assert "something that is not a plain file" in done.stderr
    assert not (tmp_path / "srv").exists()


@pytest.mark.parametrize("name", ["../outside", "/absolute"])
def test_nothing_is_written_outside(tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    (tmp_path / "deep").mkdir()
    install(bundle_in(tmp_path, (member(name), b"evil")), tmp_path / "deep" / "srv")
    assert not outside.exists()
    assert not (tmp_path / "deep" / "outside").exists()
    assert not Path("/absolute").exists()


def test_a_changed_file_and_one_that_is_listed_and_absent_are_refused(tmp_path: Path) -> None:
    bundle = bundle_in(tmp_path, listed=f"{'0' * 64}  wheels/two.whl\n")
    assert "holds files without a checksum" in install(bundle, tmp_path / "srv").stderr
    bundle.write_bytes(bundle_in(tmp_path).read_bytes().replace(b"wheel\0", b"whee1\0"))
    assert "is damaged or was changed" in install(bundle, tmp_path / "srv").stderr
    assert not (tmp_path / "srv").exists()


@pytest.mark.parametrize("existed", [True, False])
def test_a_failed_install_leaves_the_directory_as_it_was(tmp_path: Path, *, existed: bool) -> None:
    into = tmp_path / "a directory"
    if existed:
        into.mkdir()
    for _ in range(2):  # so the second try says the same as the first
        done = install(bundle_in(tmp_path), into)
        assert done.returncode == 1
        assert "The Python environment could not be made" in done.stderr
        assert into.exists() is existed
        assert not existed or list(into.iterdir()) == []


def test_an_install_that_was_killed_is_cleaned_up_by_the_next_one(tmp_path: Path) -> None:
    into = tmp_path / "srv"
    bundle = bundle_in(tmp_path, find_python=f"#!/bin/sh\ntouch '{tmp_path}/reached'\nexec sleep 60\n")
    argv = ["sh", str(SCRIPT), str(bundle), str(into), "unsigned"]
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL, start_new_session=True) as process:
        wait_for(lambda: (tmp_path / "reached").exists() or process.poll() is not None, "its first step")
        assert process.poll() is None
        os.killpg(process.pid, signal.SIGKILL)
    assert (into / "scripts").exists()
    done = install(bundle_in(tmp_path), into)
    assert "An earlier try was interrupted" in done.stderr
    assert "The Python environment could not be made" in done.stderr
    assert not list(into.iterdir())


def test_a_directory_with_something_else_is_not_touched(tmp_path: Path) -> None:
    into = tmp_path / "srv"
    into.mkdir()
    (into / "letter").write_text("hello")
    done = install(bundle_in(tmp_path), into)
    assert "is not empty" in done.stderr
    assert [path.name for path in into.iterdir()] == ["letter"]
