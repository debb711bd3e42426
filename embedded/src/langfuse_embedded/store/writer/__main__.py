"""Entry of the writer process: `python -m langfuse_embedded.store.writer DATA_DIR SOCKET_FD PARENT`."""

from __future__ import annotations

import sys
from pathlib import Path

from langfuse_embedded.process_tree import end_with_parent

from .loop import run

if __name__ == "__main__":
    end_with_parent(int(sys.argv[3]))
    sys.exit(run(Path(sys.argv[1]), int(sys.argv[2])))
