"""`selftest`: test this repository: unit and engine tests, then the smoke tests with both SDK lines.

The smoke tests run against an engine that is started as `up` starts it, in a temporary directory on a free
port, so that a stack that runs from this checkout is neither needed nor touched.
"""

from __future__ import annotations

import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from . import smoke, up
from .core.context import Context
from .core.engines.base import EngineName
from .core.errors import EXIT_FAILED, EXIT_OK, StackError
from .core.layout import Layout
from .core.settings.table import SETTINGS

# Three processes for two cores: they wait for the servers they start.
PARALLEL = ["-n", "3", "--dist", "worksteal"]
# What takes minutes (`slow`: other servers, browsers, backups) is `make test-slow`.
OWN_TESTS = ["-m", "pytest", "-q", *PARALLEL, "-m", "not slow", "tests/unit", "tests/embedded"]
# What steers applications with the SDK must not steer the tests.
STEERING_PREFIXES = ("LANGFUSE_", "OTEL_")
STEERING = {"BASE_URL", "PROJECT", *(setting.name for setting in SETTINGS)}
REFERENCE = "LANGFUSE_REFERENCE_DIR"
"""Where recordings of the real server lie, for the tests that compare with them."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one part of the tests went."""

    name: str
    code: int
    seconds: float

    def line(self) -> tuple[str, str]:
        """Return label and text for the summary."""
        return "passed" if self.code == 0 else "FAILED", f"{self.name} ({self.seconds:.0f} s)"


def run(context: Context, *, sdk4_python: Path) -> int:
    """The verb. Runs every part, also after a failure."""
    clean = replace(context, environment=environment_of_tests(context))
    outcomes = [_timed(clean, "unit and engine tests", [sys.executable, *OWN_TESTS])]
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


def environment_of_tests(context: Context) -> dict[str, str]:
    """Return the environment without settings of a stack or of the SDK."""
    return {
        name: value
        for name, value in context.environment.items()
        if name == REFERENCE or not (name in STEERING or name.startswith(STEERING_PREFIXES))
    }


@contextmanager
def started(context: Context, directory: Path) -> Iterator[Context]:
    """Start an embedded engine in `directory` as `up` does, and stop it at the end."""
    stack = replace(
        context,
        layout=Layout(context.layout.root, directory / ".env", directory / "stack"),
        environment={
            **context.environment,
            "ENGINE": EngineName.EMBEDDED,
            "LANGFUSE_PORT": str(free_port()),
        },
    )
    up.run(stack)
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
