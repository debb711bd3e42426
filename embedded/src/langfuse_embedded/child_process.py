"""Start a process of the engine that talks over a socket; `process_tree.py` ends it with the engine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path


def start_child(module: str, data_dir: Path) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start `python -m module DATA_DIR DESCRIPTOR PARENT`; return it and this side of the socket.

    That takes a millisecond. The process is ready later, and reads then what waits.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", module, str(data_dir), str(theirs.fileno()), str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )
    return process, ours
