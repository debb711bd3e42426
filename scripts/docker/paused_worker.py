"""Let the worker rest while stores are copied, and see that it works again, whatever becomes of the command.

A command that is killed cannot start it. So there is a guard, a process that does so when it is gone.
Where the guard was killed too (the machine went down, systemd ended the whole service) a mark on disk stays:
`up` and the next backup start the worker, `status` and `doctor` name it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from . import guard
from .compose import WORKER, Compose
from .pause import begin_rest, end_rest, read_rest

_GUARD_ENDS_S = 30.0


@contextmanager
def worker_at_rest(services: Compose) -> Iterator[None]:
    """Stop the worker for the body; it has written what it held in memory. The caller holds the stack.

    Raises:
        StackError: it cannot be stopped, or started; the mark says so then.
    """
    layout = services.layout
    with _guarded(services):
        begin_rest(layout)
        try:
            services.stop(WORKER)
            yield
        finally:
            services.start(WORKER)
            end_rest(layout)


def wake_worker(services: Compose) -> bool:
    """Start a worker that a killed command has left stopped; return whether there was one.

    The caller holds the stack.

    Raises:
        StackError: it does not start.
    """
    if read_rest(services.layout) is None:
        return False
    services.restart(WORKER)
    end_rest(services.layout)
    return True


@contextmanager
def _guarded(services: Compose) -> Iterator[None]:
    layout = services.layout
    argv, environment = services.restart_command(WORKER)
    files = [str(layout.resting_worker_file), str(layout.lock_file)]
    process = subprocess.Popen(
        # Isolated: modules beside the guard are not to stand in for those of the standard library.
        [sys.executable, "-I", guard.__file__, *files, *argv],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
        cwd=layout.root,
        # Ctrl-C and the end of a terminal are for the command, which then starts the worker itself.
        start_new_session=True,
    )
    try:
        yield
    finally:
        process.communicate(b"done", timeout=_GUARD_ENDS_S)
