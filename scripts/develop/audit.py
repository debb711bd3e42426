"""`audit`: look every pinned Python package up in a database of known vulnerabilities (OSV)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from scripts.core.errors import CommandFailed, StackError, UsageError
from scripts.core.runner import Runner
from scripts.engines.context import Context

from .lock_files import lock_files

DATABASE = "https://api.osv.dev/v1/query"
PROGRAM = Path(".venv-tools/bin/pip-audit")
REACHED_WITHIN_S = 10.0
TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True, order=True)
class Vulnerability:
    """A known flaw of a pinned package. `fixed_in` is empty where no version is known to be better."""

    package: str
    version: str
    name: str
    fixed_in: tuple[str, ...]

    def __str__(self) -> str:
        fix = f"fixed in {', '.join(self.fixed_in)}" if self.fixed_in else "no fixed version is known"
        return f"{self.package} {self.version}: {self.name}; {fix}"


def audit(context: Context, *, database: str, required: bool) -> int:
    """The command: 0 nothing known, or skipped without the database (1 where it is `required`); 1 vulnerable.

    Raises:
        UsageError: the scanner is not installed.
        StackError: the database does not answer and is required, or the scan itself failed.
    """
    root = context.layout.root
    program = root / PROGRAM
    if not program.exists():
        raise UsageError(f"{PROGRAM} is not installed.", fix="run it with make audit, which installs it.")
    reason = unreachable(database)
    if reason and required:
        raise StackError(
            f"The database {database} {reason}.", fix="repeat it with a network, or use a mirror."
        )
    if reason:
        context.console.warn(f"skipped: the database {database} {reason}; nothing was looked up.")
        return 0
    locks = lock_files(root)
    with context.console.working(f"Looking up the packages of {len(locks)} lock files"):
        found = {flaw for lock in locks for flaw in scan(context.runner, program, lock, database)}
    for flaw in sorted(found):
        context.console.print(str(flaw))
    if found:
        raise StackError(
            f"{len(found)} known vulnerabilities in pinned packages.",
            fix="raise the versions: make lock-python; or say in SECURITY.md why one does not matter here.",
        )
    context.console.print(f"No known vulnerabilities in {len(locks)} lock files.")
    return 0


def unreachable(database: str) -> str:
    """Return why the database cannot be asked, or an empty string; asked about a package that none has."""
    query = {"package": {"name": "langfuse-stack", "ecosystem": "PyPI"}, "version": "0"}
    try:
        answer = httpx.post(database, json=query, timeout=REACHED_WITHIN_S)
    except httpx.HTTPError as error:
        return f"cannot be reached ({type(error).__name__})"
    return "" if answer.is_success else f"answered {answer.status_code}"


def scan(runner: Runner, program: Path, lock: Path, database: str) -> list[Vulnerability]:
    """Return the known vulnerabilities in a lock file. Raises CommandFailed when the scan did not end."""
    argv = [
        str(program), "--requirement", str(lock), "--disable-pip", "--require-hashes", "--format", "json",
        "--progress-spinner", "off", "--vulnerability-service", "osv", "--osv-url", database,
    ]  # fmt: skip
    done = runner.run(argv, timeout_s=TIMEOUT_S)
    try:
        report = json.loads(done.stdout)
    except ValueError:
        raise CommandFailed(argv, done.returncode, done.stderr, fix="repeat it.") from None
    return vulnerabilities(report["dependencies"])


def vulnerabilities(dependencies: Sequence[Mapping[str, Any]]) -> list[Vulnerability]:
    """Return the rows of a pip-audit report that carry a vulnerability."""
    return [
        Vulnerability(row["name"], row["version"], flaw["id"], tuple(flaw["fix_versions"]))
        for row in dependencies
        for flaw in row.get("vulns", ())
    ]
