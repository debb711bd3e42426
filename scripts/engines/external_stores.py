"""External stores of the compose engine, within reach while a command works on them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from scripts.settings.values import Settings
from scripts.stores.external import reached

from .base import EngineName
from .context import Context


@contextmanager
def within_reach(context: Context, settings: Settings, engine: str) -> Iterator[None]:
    """Have the external stores of a stack within reach for the body, if its engine has some.

    Raises:
        UsageError: one of them is of a form that is not supported.
        StackError: the programs that go there do not start.
    """
    if engine != EngineName.COMPOSE:
        yield
        return
    services = context.compose(settings)
    if services.clients():
        context.console.note("Starting the programs that reach the external stores")
    with reached(services):
        yield
