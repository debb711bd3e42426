"""Without recordings of a real server, tests that need them are left out in one line, not skipped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from .harness import REPOSITORY


def test_comparisons_are_left_out_and_that_is_said_once(tmp_path: Path) -> None:
    environment = {**os.environ, "LANGFUSE_REFERENCE_DIR": str(tmp_path / "nothing")}
    argv = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/embedded/test_reference_prompts.py"]
    done = subprocess.run(
        [sys.executable, *argv], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 5, done.stdout  # nothing was collected
    assert done.stdout.count("Left out: comparisons with recordings of a real server") == 1
    assert "skipped" not in done.stdout
    assert "deselected" in done.stdout
