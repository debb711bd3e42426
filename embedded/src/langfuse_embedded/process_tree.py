"""Keep the processes of an engine together: a part ends when the process that started it has ended."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1
_LOOK_SECONDS = 1.0


def end_with_parent(parent: int) -> None:
    """End this process, by force if need be, as soon as the process `parent` is no longer its parent.

    Call it first thing in a child, with the id that the parent took of itself before it started the child:
    the parent may be gone by now. On Linux the kernel does it, which works for a process that hangs or is
    stopped (prctl(2), PR_SET_PDEATHSIG). It counts the thread that started the child: start children from
    threads that live as long as their process. Elsewhere a thread looks once a second.
    """
    if sys.platform == "linux":
        import ctypes

        if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) == 0:
            _end_if_orphaned(parent)
            return
    threading.Thread(target=_watch, args=(parent,), name="parent-watch", daemon=True).start()


def _end_if_orphaned(parent: int) -> None:
    if os.getppid() != parent:
        os._exit(1)


def _watch(parent: int) -> None:
    while True:
        _end_if_orphaned(parent)
        time.sleep(_LOOK_SECONDS)
