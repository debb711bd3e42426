"""Run one command: what it works with, how its errors are shown, which exit code they have."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import typer

from scripts.core.console import Console
from scripts.core.errors import EXIT_INTERRUPTED, StackError
from scripts.core.runner import SubprocessRunner
from scripts.settings.places import layout_of

from .shell import own_environment

if TYPE_CHECKING:
    from .context import Context

ROOT = Path(__file__).resolve().parents[2]

_ADVICE = {
    errno.ENOSPC: "free some space: make doctor ONLY=host shows what is full.",
    errno.EDQUOT: "free some space: the quota of this user is used up.",
    errno.EACCES: "give this user access to it, or name another place.",
    errno.EPERM: "give this user access to it, or name another place.",
    errno.EROFS: "name a place that can be written.",
}


def execute(command: Callable[[Context], int]) -> NoReturn:
    """Run a command and end with its exit code: 0 done, 1 failed, 2 wrong use, 130 interrupted."""
    from .context import Context  # with the settings and docker, which --help needs none of

    # A cancelled CI job and a closed terminal clean up as Ctrl-C does; under nohup the latter is ignored.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)
    console = Console()
    try:
        layout = layout_of(ROOT, os.environ)
        environment = own_environment(layout, os.environ)
        for text in environment.warnings:
            console.warn(text)
        code = command(Context(layout, environment.values, console, SubprocessRunner(ROOT)))
    except StackError as error:
        console.error(error)
        code = error.exit_code
    except OSError as error:
        failure = file_failure(error)
        if failure is None:
            raise
        console.error(failure)
        code = failure.exit_code
    except KeyboardInterrupt:
        console.note("Interrupted. Nothing was left in a partial state; run the command again to continue.")
        code = EXIT_INTERRUPTED
    raise typer.Exit(code)


def file_failure(error: OSError) -> StackError | None:
    """Return how to tell that a file or directory cannot be used; None where the error is about none."""
    if error.filename is None or error.errno is None:
        return None
    place = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else str(error.filename)
    advice = _ADVICE.get(error.errno, "see that this place exists and is what is meant, or name another.")
    return StackError(f"{place} cannot be used: {os.strerror(error.errno)}.", fix=advice)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
