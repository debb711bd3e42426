"""`up`: start the stack of this checkout."""

from __future__ import annotations

from scripts.config.provision.starting import start_stack
from scripts.core.errors import EXIT_OK
from scripts.engines.context import Context


def run(context: Context) -> int:
    """The command."""
    start_stack(context)
    return EXIT_OK
