"""How the stores of each engine are copied and put back."""

from __future__ import annotations

from scripts.core.context import Context
from scripts.core.engines.base import EngineName
from scripts.core.errors import UsageError
from scripts.core.settings.values import Settings

from .base import Driver
from .embedded import EmbeddedDriver


def driver_for(context: Context, settings: Settings, name: str) -> Driver:
    """Return the driver of an engine.

    Raises:
        UsageError: backups of that engine are not supported.
    """
    if name != EngineName.EMBEDDED:
        raise UsageError(
            f"Backups of the {name} engine are not supported yet.",
            fix="use pg_dump, ClickHouse BACKUP and a mirror of the media bucket.",
        )
    return EmbeddedDriver(context.layout, settings, context.environment, context.runner)
