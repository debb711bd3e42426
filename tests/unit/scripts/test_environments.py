"""How make makes its environments: with the Python that is named, and nothing half done after Ctrl-C."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import wait_for

ROOT = Path(__file__).resolve().parents[3]
# A Python that says where it has got to, and stays there. The path of the real one may have spaces.
STAYS = """\
#!/bin/sh
"exec" "{python}" "$0" "$@"
import pathlib, shutil, sys, time
if sys.argv[1:3] == ["-m", "venv"]:
    target = pathlib.Path(sys.argv[3]).resolve() / "bin"
    target.mkdir(parents=True)
    shutil.copy(__file__, target / "python")
if sys.argv[1:2] == ["scripts/install_packages.py"]:
    sys.argv.insert(1, "-m")
if "{stage}" in sys.argv[2]:
    pathlib.Path("reached").touch()
    time.sleep(60)
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a directory with what makes environments."""
    (tmp_path / "scripts").mkdir()
    for name in ("Makefile", "scripts/find-python.sh"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    return tmp_path


def program(path: Path, text: str) -> Path:
    """Write a program."""
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("stage", ["venv", "install_packages"])
def test_ctrl_c_leaves_no_half_environment_and_says_what_to_do(checkout: Path, stage: str) -> None:
    python = program(checkout / "a python", STAYS.format(python=sys.executable, stage=stage))
    argv = ["make", "--no-print-directory", ".venv-sdk4/.runtime", f"PYTHON={python}"]
    with subprocess.Popen(
        argv, cwd=checkout, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        wait_for(lambda: (checkout / "reached").exists() or process.poll() is not None, stage)
        assert process.poll() is None
        # As a terminal does: to make, its shell and the program.
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "Interrupted: .venv-sdk4 is removed. Repeat the command" in said
    assert "Traceback" not in said
    assert not (checkout / ".venv-sdk4").exists()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "there is no such program"),
        ("#!/bin/sh\nexit 127\n", "it does not run"),
        ("#!/bin/sh\necho it is Python 3.9.2 >&2\nexit 1\n", "it is Python 3.9.2"),
    ],
)
def test_a_python_that_is_named_and_cannot_be_used_is_refused_with_the_reason(
    checkout: Path, text: str | None, reason: str
) -> None:
    python = checkout / "named"
    if text is not None:
        program(python, text)
    argv = ["make", "--no-print-directory", ".venv-sdk4/.runtime", f"PYTHON={python}"]
    done = subprocess.run(argv, cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"error: PYTHON={python} cannot be used: {reason}\nfix: " in done.stderr
    assert not (checkout / ".venv-sdk4").exists()


def test_an_old_python_is_told_from_a_new_one() -> None:
    """What find-python.sh asks is understood by the Pythons that it refuses."""
    script = (ROOT / "scripts" / "find-python.sh").read_text()
    question = script.partition("is_new='")[2].partition("'\n")[0]
    asked = question.replace("sys.version_info >=", "(3, 9, 2) >=")
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("it is Python 3.")
    assert subprocess.run([sys.executable, "-c", question], check=False).returncode == 0
