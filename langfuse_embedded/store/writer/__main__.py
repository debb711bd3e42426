"""Entry of the writer process: `python -m langfuse_embedded.store.writer DATA_DIR SOCKET_FD`."""

from __future__ import annotations

import sys
from pathlib import Path

from .loop import run

if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1]), int(sys.argv[2])))
