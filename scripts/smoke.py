"""`smoke`: run the smoke tests against this stack, or against any server that the environment names."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from .core.context import Context
from .core.errors import EXIT_FAILED, EXIT_OK, EXIT_USAGE

PYTEST_WRONG_USE = (2, 4)


def smoke_command(python: str, arguments: Sequence[str]) -> list[str]:
    """Return how the suite is run; its settings stand in `smoke_tests/pytest.ini`."""
    return [python, "-m", "pytest", "-p", "no:cacheprovider", "smoke_tests", *arguments]


def smoke_environment(context: Context) -> Mapping[str, str]:
    """Return the environment in which the suite finds the credentials of this stack."""
    return {**context.environment, "STACK_DIR": str(context.layout.stack_dir)}


def run(context: Context, *, arguments: Sequence[str], python: str = sys.executable) -> int:
    """The verb."""
    code = context.runner.stream(smoke_command(python, arguments), env=smoke_environment(context))
    if code in PYTEST_WRONG_USE:
        return EXIT_USAGE
    return EXIT_OK if code == 0 else EXIT_FAILED
