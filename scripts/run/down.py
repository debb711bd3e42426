"""`down`: stop the engine and keep its data."""

from __future__ import annotations

from scripts.core.layout import only_one_command
from scripts.engines.context import Context


def down(context: Context) -> int:
    """The command. Safe to repeat."""
    engine = context.current_engine(context.lenient_settings())
    with only_one_command(context.layout):
        stopped = engine.stop()
    if stopped:
        context.console.print(f"Stopped the {engine.name} engine; its data stays for the next make up.")
    else:
        context.console.print(f"The {engine.name} engine was not running.")
    return 0
