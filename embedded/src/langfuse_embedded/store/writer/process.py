"""The writer as a child process: started, waited for."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

# Whoever stops the engine gives it 20 s, of which requests in flight have 10: nobody waits for an answer to
# what is still to be written then.
_STOP_TIMEOUT = 5.0


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
                    str(os.getpid()),
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
