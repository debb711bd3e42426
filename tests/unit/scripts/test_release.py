"""A release: what is in its way is named before anything changes; then commit, files, tag, in this order."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from scripts.core.archives import unpack
from scripts.core.console import Console
from scripts.core.errors import UsageError
from scripts.core.layout import Layout
from scripts.core.runner import SubprocessRunner
from scripts.core.version import stack_version
from scripts.develop import release
from scripts.engines.context import Context

from .fakes import Screen

ROOT = Path(__file__).resolve().parents[3]
CHANGELOG = """# Changelog

## 0.2.0 (unreleased)

### Added
- Something.

## 0.1.0 (2026-10-01)

- The first.
"""
PROJECT = '[project]\nname = "acme"\nversion = "0.1.0"\n'


def git(directory: Path, *arguments: str) -> str:
    author = ["-c", "user.name=Acme", "-c", "user.email=admin@acme.example", "-c", "init.defaultBranch=main"]
    return subprocess.run(
        ["git", *author, *arguments], cwd=directory, check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with a tag v0.1.0 and a changelog for 0.2.0."""
    root = tmp_path / "checkout"
    (root / "embedded").mkdir(parents=True)
    for name in release.VERSIONED:
        (root / name).write_text(PROJECT)
    (root / "CHANGELOG.md").write_text(CHANGELOG)
    (root / "LICENSE").write_text("MIT\n")
    git(root, "init", "--quiet")
    git(root, "config", "user.name", "Acme")
    git(root, "config", "user.email", "admin@acme.example")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "Begin")
    git(root, "tag", "v0.1.0")
    return root


Run = Callable[..., str]


@pytest.fixture
def run(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A function that runs the command in it, without the bundle and the SBOM; returns what it printed."""

    class Quick(SubprocessRunner):
        def stream(self, argv, *, env=None):  # type: ignore[no-untyped-def]
            Path(argv[-1]).write_text(" ".join(argv[3:5]))
            return 0

    def wheel(_context: Context, _directory: Path, into: Path) -> None:
        (into / "acme.whl").write_text("wheel")

    monkeypatch.setattr(release, "_wheel", wheel)

    def run_it(version: str, *, build_only: bool = False, dry_run: bool = False, yes: bool = True) -> str:
        screen = Screen()
        console = Console({}, screen.out, screen.err)
        layout = Layout(checkout, checkout / ".env", checkout / ".stack")
        context = Context(layout, {}, console, Quick(checkout))
        release.release(
            context,
            version=version,
            into=Path("..", "files", version),
            key=None,
            build_only=build_only,
            dry_run=dry_run,
            yes=yes,
        )
        return screen.out.getvalue()

    return run_it


def state(checkout: Path) -> tuple[str, str, str]:
    """Return commit, tags and changed files."""
    return git(checkout, "rev-parse", "HEAD"), git(checkout, "tag"), git(checkout, "status", "--short")


def test_a_release_commits_the_version_writes_the_files_and_tags(checkout: Path, run: Run) -> None:
    said = run("0.2.0")
    assert git(checkout, "log", "-1", "--format=%s").strip() == "Release 0.2.0"
    assert git(checkout, "tag", "--points-at", "HEAD").strip() == "v0.2.0"
    assert git(checkout, "status", "--short") == ""
    for name in release.VERSIONED:
        assert release.version_in((checkout / name).read_text()) == "0.2.0"
    files = checkout.parent / "files" / "0.2.0"
    names = ["SHA256SUMS", "acme.whl", "langfuse-stack-0.2.0.bundle", "notes.md", "sbom.cdx.json"]
    assert sorted(path.name for path in files.iterdir()) == names
    subprocess.run(["sha256sum", "--quiet", "--check", "SHA256SUMS"], cwd=files, check=True)
    assert (files / "notes.md").read_text() == "### Added\n- Something.\n"
    assert "git push origin main v0.2.0" in said
    commit = git(checkout, "rev-parse", "--short", "HEAD").strip()
    assert stack_version(checkout) == f"0.2.0 ({commit})"


def test_a_dry_run_shows_the_steps_and_changes_nothing(checkout: Path, run: Run) -> None:
    before = state(checkout)
    said = run("0.2.0", dry_run=True)
    assert "Release 0.2.0" in said
    assert "tag v0.2.0" in said
    assert state(checkout) == before


def test_without_a_yes_nothing_is_changed(checkout: Path, run: Run) -> None:
    before = state(checkout)
    with pytest.raises(UsageError, match="not confirmed"):
        run("0.2.0", yes=False)
    assert state(checkout) == before


def test_the_files_of_a_tag_are_built_once_more(checkout: Path, run: Run) -> None:
    run("0.2.0")
    shutil.rmtree(checkout.parent / "files")
    before = state(checkout)
    run("0.2.0", build_only=True)
    assert (checkout.parent / "files" / "0.2.0" / "SHA256SUMS").exists()
    assert state(checkout) == before


@pytest.mark.parametrize(
    ("version", "break_it", "problem"),
    [
        ("next", "true", "'next' is not a version"),
        ("0.1.0", "true", "the tag v0.1.0 is there"),
        ("0.2.0", "git tag v0.10.0", "0.10.0 is newer"),
        ("0.2.0", "echo >>LICENSE", r"1 files are not committed \(M LICENSE\)"),
        ("0.2.0", "git checkout --quiet --detach", "no branch is checked out"),
        ("0.3.0", "true", "CHANGELOG.md has no section 0.3.0"),
        ("0.2.0", "mkdir -p ../files/0.2.0", "exists: delete it"),
    ],
)
def test_what_is_in_the_way_is_named_and_nothing_is_changed(
    checkout: Path, run: Run, version: str, break_it: str, problem: str
) -> None:
    subprocess.run(["sh", "-c", break_it], cwd=checkout, check=True)
    before = state(checkout)
    with pytest.raises(UsageError) as caught:
        run(version)
    assert any(re.search(problem, line) for line in caught.value.details), caught.value
    assert state(checkout) == before


def test_a_tag_that_is_not_here_is_not_built(run: Run) -> None:
    with pytest.raises(UsageError) as caught:
        run("0.2.0", build_only=True)
    assert "the last commit has no tag v0.2.0: git checkout v0.2.0" in caught.value.details
    assert "pyproject.toml says 0.1.0" in caught.value.details


def test_the_changelog_of_this_repository_has_notes_for_its_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    version = release.version_in((ROOT / "pyproject.toml").read_text())
    assert release.notes(changelog, version)


def test_only_the_section_of_the_version_gets_the_date() -> None:
    changelog = release.dated(CHANGELOG, "0.2.0", date(2026, 12, 1))
    assert [line for line in changelog.splitlines() if line.startswith("## ")] == [
        "## 0.2.0 (2026-12-01)",
        "## 0.1.0 (2026-10-01)",
    ]


def test_both_projects_have_one_version() -> None:
    assert len({release.version_in((ROOT / name).read_text()) for name in release.VERSIONED}) == 1


def test_an_archive_of_the_repository_knows_its_commit(tmp_path: Path) -> None:
    """It has no .git; git writes the commit into the file that is marked so."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout of Git")
    made = subprocess.run(
        ["git", "archive", "HEAD", "pyproject.toml", "scripts/core", "scripts/__init__.py"],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    with tarfile.open(fileobj=io.BytesIO(made.stdout)) as archive:
        unpack(archive, tmp_path)
    code = "from pathlib import Path; from scripts.core.version import stack_version as v; print(v(Path()))"
    argv = [shutil.which("python3") or "python3", "-c", code]
    said = subprocess.run(argv, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    commit = git(ROOT, "rev-parse", "--short", "HEAD").strip()
    assert f"({commit}" in said


def test_a_changed_file_is_told(checkout: Path) -> None:
    (checkout / "LICENSE").write_text("other\n")
    assert stack_version(checkout).endswith(", edited)")
    shutil.rmtree(checkout / ".git")
    assert stack_version(checkout) == "0.1.0"
    assert stack_version(checkout / "embedded") == "0.1.0"
    assert stack_version(checkout.parent) == "of no known version"
