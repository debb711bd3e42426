"""`release`: give the state of a branch a version: changelog, commit, files to hand out, tag.

Nothing leaves this machine: `git push` is the last step, and yours. Of a tag that was pushed,
`.github/workflows/release.yml` builds the files once more, and publishes those.
"""

from __future__ import annotations

import re
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from scripts.core.archives import unpack
from scripts.core.checksums import checksums
from scripts.core.confirmation import confirm
from scripts.core.errors import EXIT_OK, StackError, UsageError
from scripts.core.runner import checked
from scripts.engines.context import Context

CHANGELOG = "CHANGELOG.md"
VERSIONED = ("pyproject.toml", "embedded/pyproject.toml")
SUMS = "SHA256SUMS"
NOTES = "notes.md"
BUILD_TIMEOUT_S = 1800.0
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_UNRELEASED = "unreleased"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a release is decided by.

    Attributes:
        changelog: its text.
        versions: what the files say that carry the version, by name.
        changed: files that differ from the last commit.
        tags: tags of versions that are there.
        tags_here: those of the last commit.
        branch: the branch, empty on none.
    """

    changelog: str
    versions: dict[str, str]
    changed: Sequence[str]
    tags: Sequence[str]
    tags_here: Sequence[str]
    branch: str


def release(
    context: Context,
    *,
    version: str,
    into: Path,
    key: Path | None,
    build_only: bool,
    dry_run: bool,
    yes: bool,
) -> int:
    """The command.

    Args:
        context: the surroundings.
        version: such as 1.2.3.
        into: directory for the files; it must not exist.
        key: a private key of OpenSSH that signs the bundle and the list of checksums.
        build_only: build the files of a tag that is there, commit and tag nothing.
        dry_run: only show what would be done.
        yes: do not ask.

    Raises:
        UsageError: something is in the way; nothing was changed.
        StackError: a file could not be built. A commit of the version may be there then, a tag is not.
    """
    facts = gather_facts(context)
    problems = list(problems_of(version, facts, build_only=build_only))
    if (context.layout.root / into).exists():
        problems.append(f"{into} exists: delete it, or choose another with INTO=")
    if problems:
        raise UsageError(f"{version} cannot be released.", details=problems, fix="correct that, then repeat.")
    context.console.rows(list(enumerated(steps(version, facts, into, build_only=build_only))))
    if dry_run:
        return EXIT_OK
    if not build_only:
        confirm(context.console, yes=yes)
        _commit(context, version, facts)
    build(context, version, into, key)
    if build_only:
        return EXIT_OK
    _git(context, "tag", "--annotate", f"v{version}", "--message", f"Version {version}")
    context.console.print(f"Next: git push origin {facts.branch} v{version}")
    return EXIT_OK


def gather_facts(context: Context) -> Facts:
    """Look at the checkout. Raises UsageError where it is none."""
    root = context.layout.root
    if context.runner.run(["git", "rev-parse", "--verify", "HEAD"]).returncode != 0:
        raise UsageError("This is not a git checkout.", fix="release from a clone of the repository.")
    return Facts(
        changelog=(root / CHANGELOG).read_text(encoding="utf-8"),
        versions={name: version_in((root / name).read_text(encoding="utf-8")) for name in VERSIONED},
        changed=_git(context, "status", "--short").splitlines(),
        tags=_git(context, "tag", "--list", "v*").split(),
        tags_here=_git(context, "tag", "--points-at", "HEAD").split(),
        branch=_git(context, "branch", "--show-current").strip(),
    )


def problems_of(version: str, facts: Facts, *, build_only: bool) -> Iterator[str]:
    """Yield what is in the way of a release, each with what to do."""
    if not _VERSION.fullmatch(version):
        yield f"{version!r} is not a version: write three numbers, such as 1.2.3"
        return
    if facts.changed:
        first = facts.changed[0].strip()
        yield f"{len(facts.changed)} files are not committed ({first}): commit or stash them"
    if build_only:
        if f"v{version}" not in facts.tags_here:
            yield f"the last commit has no tag v{version}: git checkout v{version}"
        yield from (f"{name} says {one}" for name, one in facts.versions.items() if one != version)
    else:
        yield from _problems_of_a_new_tag(version, facts)
    if not notes(facts.changelog, version):
        yield f"{CHANGELOG} has no section {version} with a line in it: write what users notice"


def _problems_of_a_new_tag(version: str, facts: Facts) -> Iterator[str]:
    if not facts.branch:
        yield "no branch is checked out: git switch main"
    if f"v{version}" in facts.tags:
        yield f"the tag v{version} is there: choose the next version"
    newest = max((numbers(tag) for tag in facts.tags if _VERSION.fullmatch(tag[1:])), default=())
    if newest > numbers(version):
        yield f"{'.'.join(map(str, newest))} is newer: choose a version after it"


def steps(version: str, facts: Facts, into: Path, *, build_only: bool) -> Iterator[str]:
    """Yield what is done, in its order."""
    files = f"write {into}: wheel, bundle without images, sbom.cdx.json, {NOTES}, {SUMS}"
    if build_only:
        yield files
        return
    yield f"{', '.join(VERSIONED)}: version {version}"
    yield f"{CHANGELOG}: {version} gets today's date"
    yield f"commit on {facts.branch}: Release {version}"
    yield files
    yield f"tag v{version}"


def enumerated(lines: Iterator[str]) -> Iterator[tuple[str, str]]:
    """Yield the lines with a number each."""
    return ((f"{number}.", line) for number, line in enumerate(lines, start=1))


def numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a version or its tag."""
    return tuple(int(part) for part in version.removeprefix("v").split("."))


def notes(changelog: str, version: str) -> str:
    """Return what the changelog says of a version, or nothing."""
    found = re.search(
        rf"^## {re.escape(version)} \([^)\n]*\)\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL
    )
    text = found[1].strip() if found else ""
    return text if "\n- " in f"\n{text}" else ""


def dated(changelog: str, version: str, today: date) -> str:
    """Return the changelog in which the section of a version has a date."""
    return changelog.replace(f"## {version} ({_UNRELEASED})", f"## {version} ({today.isoformat()})")


def version_in(project: str) -> str:
    """Return the version in the text of a pyproject.toml."""
    found = re.search(r'^version = "([^"]+)"$', project, re.MULTILINE)
    return found[1] if found else ""


def with_version(project: str, version: str) -> str:
    """Return a pyproject.toml with another version."""
    return re.sub(r'^version = "[^"]+"$', f'version = "{version}"', project, count=1, flags=re.MULTILINE)


def build(context: Context, version: str, into: Path, key: Path | None) -> None:
    """Write the files of a release. Raises StackError; nothing is left behind then."""
    target = context.layout.root / into
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".release-") as name:
        files = Path(name, "files")
        files.mkdir()
        with context.console.working("Building the wheel"):
            _wheel(context, Path(name), files)
        scripts = [sys.executable, "-m", "scripts"]
        signed = ["--key", str(key)] if key else []
        bundle = files / f"langfuse-stack-{version}.bundle"
        for argv in (
            [*scripts, "bundle", "--no-images", *signed, str(bundle)],
            [*scripts, "sbom", "--output", str(files / "sbom.cdx.json")],
        ):
            if context.runner.stream(argv) != 0:
                raise StackError(f"{argv[3]} failed.", fix="correct what it said, then repeat.")
        changelog = (context.layout.root / CHANGELOG).read_text(encoding="utf-8")
        (files / NOTES).write_text(notes(changelog, version) + "\n", encoding="utf-8")
        (files / SUMS).write_text(checksums(files), encoding="utf-8")
        files.rename(target)
    for path in sorted(target.iterdir()):
        context.console.print(f"{path.stat().st_size / 1e6:8.2f} MB  {into / path.name}")


def _wheel(context: Context, directory: Path, into: Path) -> None:
    # From what is committed; a build writes beside its sources.
    archive = directory / "embedded.tar"
    _git(context, "archive", "--output", str(archive), "HEAD", "embedded", "LICENSE")
    with tarfile.open(archive) as packed:
        unpack(packed, directory)
    argv = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    argv += ["--wheel-dir", str(into), str(directory / "embedded")]
    checked(argv, context.runner.run(argv, timeout_s=BUILD_TIMEOUT_S), fix="setuptools comes from the index.")


def _commit(context: Context, version: str, facts: Facts) -> None:
    root = context.layout.root
    for name in VERSIONED:
        path = root / name
        path.write_text(with_version(path.read_text(encoding="utf-8"), version), encoding="utf-8")
    changelog = dated(facts.changelog, version, datetime.now(UTC).date())
    (root / CHANGELOG).write_text(changelog, encoding="utf-8")
    if context.runner.run(["git", "diff", "--quiet"]).returncode != 0:
        _git(context, "commit", "--quiet", "--all", "--message", f"Release {version}")


def _git(context: Context, *arguments: str) -> str:
    argv = ["git", *arguments]
    done = context.runner.run(argv)
    checked(argv, done)
    return done.stdout
