"""The smoke tests of the examples that call models, with all their packages, so that none is skipped."""

from __future__ import annotations

import subprocess
import sys

from tests.embedded.harness import REPOSITORY

from .conftest import PYTHON

TIMEOUT_S = 400


def test_the_examples_that_call_models_pass_their_smoke_tests(environment: dict[str, str]) -> None:
    assert PYTHON.exists(), f"no packages of client libraries at {PYTHON}: run make test-clients"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "smoke_tests/test_example_models.py",
        ],
        cwd=REPOSITORY,
        env={**environment, "EXAMPLES_PYTHON": str(PYTHON)},
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
