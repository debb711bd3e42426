"""Entry of the judge's process: `python -m langfuse_embedded.judge DATA_DIR SOCKET_FD PARENT`."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from pathlib import Path

from langfuse_embedded import log_lines
from langfuse_embedded.process_tree import end_with_parent

from .link import Link, LinkLost
from .worker import Worker, settings_of


async def _run(data_dir: Path, connection: socket.socket) -> int:
    link = Link()
    try:
        settings = settings_of(await link.open(connection))
    except LinkLost:
        return 0
    await Worker(data_dir, link, settings).run()
    return 0


if __name__ == "__main__":
    end_with_parent(int(sys.argv[3]))
    os.umask(0o077)
    # The server decides when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    log_lines.configure()
    logging.getLogger("httpx").setLevel(logging.WARNING)
    with socket.socket(fileno=int(sys.argv[2])) as channel:
        sys.exit(asyncio.run(_run(Path(sys.argv[1]), channel)))
