"""`rehearse`: try the compose stack on stand-in images in a real Docker engine.

This rehearses the wiring, not Langfuse itself (docs/reference/rehearsal.md). Where an engine ran before, the
images stay in it, and nothing else; one that is started for the rehearsal ends with it, and leaves a cache.
"""

from __future__ import annotations

import secrets
import shutil
import sys
from collections.abc import Sequence

from rehearsal.engine import cache_directory, docker_engine
from rehearsal.images import as_root, build_images
from rehearsal.leftovers import remove_leftovers
from scripts.core.errors import EXIT_FAILED, EXIT_OK, UsageError
from scripts.core.runner import checked
from scripts.docker.availability import find_engine
from scripts.engines.context import Context

SCENARIOS = "tests/scenarios"
# While one process waits for a container, others go on. What stays together: processes.py there.
PYTEST = ("-m", "pytest", "-p", "no:cacheprovider", "-v", "--durations=10", "-n", "3")
INSTALL_TIMEOUT_S = 600
INSTALL_ENGINE = ("rehearsal/install_engine.sh",)
# The keyring is there on Debian, not on Ubuntu.
INSTALL_BOOTSTRAP = (
    *("apt-get", "install", "--quiet", "--yes", "--no-install-recommends"),
    *("mmdebstrap", "debian-archive-keyring"),
)


def rehearse(context: Context, *, yes: bool, arguments: Sequence[str]) -> int:
    """The command. `arguments` go to pytest."""
    installations = missing_programs(context)
    if installations:
        require_consent(context, installations, yes=yes)
        for argv in installations:
            with context.console.working(f"Running {' '.join(argv)}"):
                checked(argv, context.runner.run(argv, timeout_s=INSTALL_TIMEOUT_S))
    with docker_engine(context.runner, cache_directory(context.environment)) as engine:
        context.console.note(f"Engine: {engine}")
        build_images(context.runner, context.console)
        context.console.note("This rehearses the wiring, not Langfuse itself.")
        name = f"rehearsal-{secrets.token_hex(3)}"
        try:
            environment = {**context.environment, "REHEARSAL_RUN": name}
            code = context.runner.stream(pytest_command(arguments), env=environment)
        finally:
            for leftover in remove_leftovers(name):
                context.console.warn(f"removed what an interrupted scenario left: {leftover}")
    return EXIT_OK if code == 0 else EXIT_FAILED


def pytest_command(arguments: Sequence[str]) -> list[str]:
    """Return how scenarios are run: those that `arguments` name, else all but slow ones or as -m says."""
    named = any(argument.startswith(SCENARIOS) for argument in arguments)
    selection = () if named else (SCENARIOS, "-m", "not slow")
    return [sys.executable, *PYTEST, *selection, *arguments]


def missing_programs(context: Context) -> list[Sequence[str]]:
    """Return the commands that install what is not here yet."""
    needed: list[Sequence[str]] = []
    if (
        not find_engine(context.runner).usable
        and context.runner.run([*INSTALL_ENGINE, "--check"]).returncode != 0
    ):
        needed.append(INSTALL_ENGINE)
    if shutil.which("mmdebstrap") is None:
        needed.append([*as_root(context.runner), *INSTALL_BOOTSTRAP])
    return needed


def require_consent(context: Context, installations: Sequence[Sequence[str]], *, yes: bool) -> None:
    """Return when these commands may be run. Raises UsageError."""
    commands = "; ".join(" ".join(argv) for argv in installations)
    if yes or context.environment.get("CI"):
        return
    context.console.print(f"The rehearsal needs programs that are not here. To be run: {commands}")
    answer = context.console.ask("Go on? [y/N] ")
    if answer is None or answer.strip().lower() not in {"y", "yes"}:
        raise UsageError("Nothing was installed.", fix=f"make rehearse YES=1, or run yourself: {commands}")
