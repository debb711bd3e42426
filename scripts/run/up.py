"""`up`: start the stack of this checkout."""

from __future__ import annotations

from scripts.core.errors import EXIT_OK
from scripts.engines.context import Context
from scripts.provision.starting import start_stack
from scripts.watch.alerts.compiled import compile_for_site, reload_services


def up(context: Context) -> int:
    """The command."""
    compiled = compile_for_site(context.layout)
    start_stack(context)
    if compiled:
        reload_services(context)
    return EXIT_OK
