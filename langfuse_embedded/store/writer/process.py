"""The writer as a child process: started, waited for."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

_STOP_TIMEOUT = 20.0


class WriterProcess:
    """The child process and the socket to it. Starting does not wait: the process greets when it is ready."""

    def __init__(self, data_dir: Path) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self.socket = ours
            self.child = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "langfuse_embedded.store.writer",
                    str(data_dir),
                    str(theirs.fileno()),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    def wait(self) -> int:
        """Wait for the end of the process, by force if need be; return its exit code."""
        try:
            return self.child.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.child.kill()
            return self.child.wait()
