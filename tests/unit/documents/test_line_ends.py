"""A checkout made with Git for Windows runs: no file of it ends its lines with CRLF."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def git(*arguments: str, cwd: Path = ROOT) -> str:
    return subprocess.run(["git", *arguments], cwd=cwd, check=True, capture_output=True, text=True).stdout


def test_a_checkout_that_git_converts_for_windows_keeps_its_line_ends(tmp_path: Path) -> None:
    """With the setting of Git for Windows, and with what a clone of this state would bring."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout of Git")
    files = git(
        "ls-files", "-z", "*.sh", "Makefile", ".env.example", "compose.yaml", "scripts/help.awk", ".ci/run"
    )
    names = [name for name in files.split("\0") if name]
    copy = tmp_path / "copy"
    for name in (*names, ".gitattributes"):
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
    git("init", "--quiet", cwd=copy)
    git("add", "--all", cwd=copy)
    author = ("-c", "user.name=Acme", "-c", "user.email=admin@acme.example")
    git(*author, "commit", "--quiet", "--message", "All", cwd=copy)
    git("-c", "core.autocrlf=true", "clone", "--quiet", str(copy), str(tmp_path / "windows"))
    assert len(names) > 5
    assert [name for name in names if b"\r" in (tmp_path / "windows" / name).read_bytes()] == []


def test_no_tracked_text_has_other_line_ends() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout of Git")
    listed = git("ls-files", "--eol").splitlines()
    assert [line for line in listed if not line.startswith(("i/lf", "i/none", "i/-text"))] == []
