"""Which version of this repository a stack is run by."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

# git fills it in where it writes an archive, as for a bundle: export-subst in .gitattributes.
_ARCHIVED = "$Format:%h$"


def stack_version(root: Path) -> str:
    """Return version and commit, `0.1.0 (9d8cec5)`; `edited` where files differ from the commit."""
    try:
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    except FileNotFoundError:
        return "of no known version"
    commit = _commit(root) or ("" if _ARCHIVED.startswith("$") else _ARCHIVED)
    return f"{project['version']} ({commit})" if commit else str(project["version"])


def _commit(root: Path) -> str:
    # A copy without .git may lie in someone else's checkout.
    if not (root / ".git").exists():
        return ""
    argv = ["git", "-C", str(root), "describe", "--always", "--exclude", "*", "--dirty=, edited"]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
