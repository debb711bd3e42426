"""`up`: start the stack of this checkout."""

from __future__ import annotations

from scripts.core.errors import EXIT_OK
from scripts.engines.context import Context
from scripts.provision.starting import start_stack


def run(context: Context) -> int:
    """The command."""
    start_stack(context)
    return EXIT_OK
