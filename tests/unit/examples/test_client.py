"""What every example does when something is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[3] / "examples"


def test_an_example_without_its_packages_says_how_to_install_them() -> None:
    program = "from client import packages\nwith packages('acme', 'kosmos>=2'):\n    import no_such_package\n"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=EXAMPLES, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == (
        f"There is no package no_such_package: {sys.executable} -m pip install acme kosmos>=2\n"
    )
