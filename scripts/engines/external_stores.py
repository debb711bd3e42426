"""External stores of the compose engine, within reach while a command works on them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from scripts.core.layout import only_one_command
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


@contextmanager
def within_reach_to_look(context: Context, settings: Settings, engine: str) -> Iterator[None]:
    """As within_reach, for what changes nothing: no other command may then use the same programs.

    Raises:
        UsageError, StackError: as above, and while another command is at work.
    """
    with ExitStack() as stack:
        if engine == EngineName.COMPOSE and context.compose(settings).clients():
            stack.enter_context(only_one_command(context.layout))
        stack.enter_context(within_reach(context, settings, engine))
        yield
