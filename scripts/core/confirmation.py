"""Ask a person before anything is changed that cannot be undone, or not easily."""

from __future__ import annotations

from .console import Console
from .errors import UsageError


def confirm(
    console: Console,
    question: str = "Go on?",
    *,
    yes: bool,
    refusal: str = "That was not confirmed; nothing was changed.",
    fix: str = "YES=1 asks nothing.",
) -> None:
    """Return when the person types yes, or where `yes` was given. Raises UsageError otherwise."""
    if not yes and console.ask(f"{question} Type yes: ") != "yes":
        raise UsageError(refusal, fix=fix)


def confirm_name(console: Console, name: str, *, fix: str, unchanged: str) -> None:
    """Return when the person types the name of the stack. Raises UsageError otherwise.

    Args:
        fix: what asks nothing.
        unchanged: what did not happen without a confirmation.
    """
    answer = console.ask(f"Type {name} to go on: ")
    if answer is None:
        raise UsageError(f"Cannot prompt for confirmation (no terminal); {unchanged}.", fix=fix)
    if answer.strip() != name:
        raise UsageError(f"That was not {name}; {unchanged}.")
