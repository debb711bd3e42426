"""`up`: start the stack of this checkout."""

from __future__ import annotations

from scripts.core.errors import EXIT_OK
from scripts.engines.context import Context
from scripts.provision.starting import start_stack
from scripts.watch.alerts.compiled import compile_for_site


def run(context: Context) -> int:
    """The command."""
    compile_for_site(context.layout)
    start_stack(context)
    return EXIT_OK
