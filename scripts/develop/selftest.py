"""`selftest`: test the stack that runs, in seconds; then this repository, in minutes.

First the smoke tests without the examples, against the running stack: they erase what they write. Then unit
and engine tests, and all smoke tests with both SDK lines against an engine that is started as `up` starts it,
in a temporary directory on a free port, so that no stack is needed or touched.
"""

from __future__ import annotations

import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from scripts.core.errors import EXIT_FAILED, EXIT_OK, StackError
from scripts.core.layout import Layout
from scripts.engines import smoke
from scripts.engines.base import EngineName
from scripts.engines.context import Context
from scripts.provision.starting import start_stack
from scripts.settings.table import SETTINGS

# Three processes for two cores: they wait for the servers they start.
PARALLEL = ["-n", "3", "--dist", "worksteal"]
# What takes minutes (`slow`: other servers, browsers, backups) is `make test-slow`.
OWN_TESTS = ["-m", "pytest", "-q", *PARALLEL, "-m", "not slow", "tests/unit", "tests/embedded"]
# Of the running stack: what takes seconds. The examples start a program each.
QUICK = ["-q", "--ignore-glob=*/test_example*"]
# What steers applications with the SDK must not steer the tests.
STEERING_PREFIXES = ("LANGFUSE_", "OTEL_")
STEERING = {"BASE_URL", "PROJECT", *(setting.name for setting in SETTINGS)}
REFERENCE = "LANGFUSE_REFERENCE_DIR"
"""Where recordings of the real server are, for the tests that compare with them."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one part of the tests went."""

    name: str
    code: int
    seconds: float

    def line(self) -> tuple[str, str]:
        """Return label and text for the summary."""
        return "passed" if self.code == 0 else "FAILED", f"{self.name} ({self.seconds:.0f} s)"


def selftest(context: Context, *, sdk4_python: Path) -> int:
    """The command. Runs every part, also after a failure."""
    clean = replace(context, environment=environment_of_tests(context))
    outcomes = [*test_running_stack(context)]
    outcomes += [_timed(clean, "unit and engine tests", [sys.executable, *OWN_TESTS])]
    with tempfile.TemporaryDirectory(prefix="langfuse-stack-test-") as directory:
        try:
            with started(clean, Path(directory)) as stack:
                for sdk, python in (("5", sys.executable), ("4", str(sdk4_python))):
                    name = f"smoke tests with SDK {sdk} on the embedded engine"
                    outcomes.append(_timed(stack, name, smoke.smoke_command(python, ["-q"])))
        except StackError as error:
            context.console.error(error)
            outcomes.append(Outcome("starting an engine for the smoke tests", EXIT_FAILED, 0))
    context.console.print()
    context.console.rows([outcome.line() for outcome in outcomes])
    return EXIT_OK if all(outcome.code == 0 for outcome in outcomes) else EXIT_FAILED


def test_running_stack(context: Context) -> list[Outcome]:
    """Test the stack of this checkout and say how it went at once; nothing where none runs."""
    try:
        settings = context.lenient_settings()
        engine = context.current_engine(settings)
        state = engine.state()
    except StackError as error:
        context.console.note(f"The stack cannot be looked at: {error.message}")
        return []
    if not state.running:
        context.console.note("No stack runs here, so none is tested first (make up starts one).")
        return []
    name = f"your stack: {settings['NEXTAUTH_URL']} ({engine.name} engine)"
    outcome = _timed(context, name, smoke.smoke_command(sys.executable, QUICK))
    context.console.rows([outcome.line()])
    context.console.note("The tests of the code follow; they take minutes and leave your stack alone.")
    return [outcome]


def environment_of_tests(context: Context) -> dict[str, str]:
    """Return the environment without settings of a stack or of the SDK."""
    return {
        name: value
        for name, value in context.environment.items()
        if name == REFERENCE or not (name in STEERING or name.startswith(STEERING_PREFIXES))
    }


@contextmanager
def started(context: Context, directory: Path) -> Iterator[Context]:
    """Start an embedded engine in `directory` as `up` does, and stop it at the end.

    It has the projects of the example company: two of them, and the content that examples read.
    """
    root, site = context.layout.root, directory / "site"
    shutil.copytree(root / "examples" / "kosmos", site)
    stack = replace(
        context,
        layout=Layout(root, directory / ".env", directory / "stack", site),
        environment={
            **context.environment,
            "ENGINE": EngineName.EMBEDDED,
            "LANGFUSE_PORT": str(free_port()),
        },
    )
    start_stack(stack)
    try:
        yield stack
    finally:
        settings = stack.settings()
        stack.engine(EngineName.EMBEDDED, settings).stop()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _timed(context: Context, name: str, argv: list[str]) -> Outcome:
    context.console.note(f"--- {name}")
    begin = time.monotonic()
    code = context.runner.stream(argv, env=smoke.smoke_environment(context))
    return Outcome(name, code, time.monotonic() - begin)
