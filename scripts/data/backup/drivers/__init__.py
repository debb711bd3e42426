"""How the stores of each engine are copied and put back."""

from __future__ import annotations

from scripts.docker.compose import Compose
from scripts.engines.base import EngineName
from scripts.engines.compose import ComposeEngine
from scripts.engines.context import Context
from scripts.engines.embedded import EmbeddedEngine
from scripts.settings.values import Settings

from .base import Driver
from .compose import ComposeDriver
from .embedded import EmbeddedDriver


def driver_for(context: Context, settings: Settings, name: str) -> Driver:
    """Return the driver of an engine. External stores have to be within reach: `reached`."""
    layout, environment, runner = context.layout, context.environment, context.runner
    if name == EngineName.EMBEDDED:
        embedded = EmbeddedEngine(layout, settings, environment, runner, context.console)
        return EmbeddedDriver(layout, settings, environment, runner, embedded)
    engine = ComposeEngine(layout, settings, environment, runner, context.console)
    return ComposeDriver(engine, Compose(layout, settings, environment, runner))
