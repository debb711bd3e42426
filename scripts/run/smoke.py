"""`smoke`: run the smoke tests against this stack, or against any server that the environment names."""

from __future__ import annotations

from collections.abc import Sequence

from scripts.engines.context import Context
from scripts.engines.smoke import run_smoke_tests


def smoke(context: Context, *, arguments: Sequence[str]) -> int:
    """The command. `arguments` go to pytest."""
    return run_smoke_tests(context, arguments=arguments)
