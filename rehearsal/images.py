"""The stand-in images: a base of Debian packages, and what `rehearsal/build.yaml` builds on it.

By hand: python -m rehearsal.images
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from scripts.core.console import Console
from scripts.core.errors import CommandFailed
from scripts.core.runner import Runner, SubprocessRunner, checked

BASE = "langfuse-stack-rehearsal/base:trixie"
BUILD_TIMEOUT_S = 900
BUILD = ("docker", "compose", "--file", "rehearsal/build.yaml", "build", "--quiet")
# Another image is built on it.
FIRST = "python"
# The mirror is left out: the tool has a default of its own.
BOOTSTRAP = (
    "mmdebstrap",
    "--quiet",
    "--variant=minbase",
    "--include=ca-certificates,wget",
    "--dpkgopt=force-unsafe-io",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "trixie",
    "-",
)


def as_root(runner: Runner) -> tuple[str, ...]:
    """Return what begins a command that root is to run; nothing for root, and where it needs a password."""
    if os.geteuid() == 0:
        return ()
    sudo = ("sudo", "--non-interactive")
    return sudo if runner.run([*sudo, "true"]).returncode == 0 else ()


def build_images(runner: Runner, console: Console) -> None:
    """Build what is missing or out of date. Raises CommandFailed."""
    if runner.run(["docker", "image", "inspect", BASE]).returncode != 0:
        with console.working("Making the base image from Debian packages (half a minute)"):
            # Without root it works in a user namespace, which not every host allows.
            _import_base((*as_root(runner), *BOOTSTRAP))
    with console.working("Building the stand-in images (the first time takes three minutes)"):
        for argv in ((*BUILD, FIRST), BUILD):
            checked(argv, runner.run(argv, timeout_s=BUILD_TIMEOUT_S))


def _import_base(argv: Sequence[str]) -> None:
    # A pipe: the archive is as large as the image, and nobody needs it.
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as bootstrap:
        imported = subprocess.run(
            ["docker", "import", "-", BASE],
            stdin=bootstrap.stdout,
            capture_output=True,
            text=True,
            check=False,
        )
        errors = bootstrap.stderr.read().decode(errors="replace") if bootstrap.stderr else ""
    if bootstrap.returncode != 0:
        raise CommandFailed(argv, bootstrap.returncode, errors, fix="install mmdebstrap, then repeat.")
    if imported.returncode != 0:
        raise CommandFailed(["docker", "import", "-", BASE], imported.returncode, imported.stderr)


if __name__ == "__main__":
    build_images(SubprocessRunner(Path(__file__).resolve().parents[1]), Console())
