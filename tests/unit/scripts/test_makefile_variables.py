"""What somebody sets on make's command line or in its environment is text: no part of it is ever run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
# Programs that the Makefile runs: whoever replaces one says what is run. Make expands none of them.
PROGRAMS = {"RUN", "UV", "PYTHON", "SHELL"}
# What make sets, or what is not a variable of ours.
OF_MAKE = {"MAKEFILE_LIST", "MAKEFLAGS"}
READ = (
    set(re.findall(r"\$\((?:call \w+,(?:[a-z-]+,)?|value )?([A-Z][A-Z0-9_]*)\)", MAKEFILE))
    | set(re.findall(r"^([A-Z_]+) [?:]?=", MAKEFILE, re.MULTILINE))
) - OF_MAKE
# A target that reads none would run the same program whatever is set.
TARGETS = sorted(
    target
    for target, recipe in re.findall(r"^([a-z][a-z-]*):[^\n]*\n((?:\t[^\n]*\n)+)", MAKEFILE, re.MULTILINE)
    if re.search(r"\$\((?:call|with_args)\b", recipe)
)
# As words of a shell, as functions of make, and as what ends a quotation.
PAYLOADS = (
    "$(shell touch {mark})",
    "${{shell touch {mark}}}",
    "$(touch {mark})",
    "`touch {mark}`",
    "'; touch {mark}; '",
    "; touch {mark}",
    "& touch {mark} #",
    "$$(shell touch {mark})",
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a directory with the Makefile, in which every program writes down its arguments."""
    for name in ("Makefile", "scripts/append_words.py", "scripts/help.awk", "scripts/find-python.sh"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "scripts" / "install-bundle.sh").write_text('printf "%s\\n" "$@" >>said\n')
    for lock in ("embedded/pyproject.toml", *ROOT.glob("requirements/*")):
        copy = tmp_path / (ROOT / lock).relative_to(ROOT)
        copy.parent.mkdir(exist_ok=True)
        copy.touch()
    program = tmp_path / "program"
    program.write_text(
        "#!/bin/sh\n"
        'case "$1" in scripts/append_words.py) exec python3 "$@" ;; esac\n'
        'printf "%s\\n" "$@" >>said\nenv >>environment\n'
    )
    program.chmod(0o755)
    for environment in (".venv", ".venv-sdk2", ".venv-sdk3", ".venv-sdk4", ".venv-clients", ".venv-tools"):
        (tmp_path / environment / "bin").mkdir(parents=True)
        (tmp_path / environment / "bin" / "python").symlink_to(program)
        for stamp in (".runtime", ".dev"):
            (tmp_path / environment / stamp).touch()
    return tmp_path


def make(checkout: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "-C", str(checkout), "--no-print-directory", *arguments],
        env={"PATH": os.environ["PATH"], **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_variables_are_found_in_the_makefile() -> None:
    assert {"USER_ID", "ARGS", "FILE", "PYTHON", "UV", "RUN", "GROUP", "SPANS_PER_S", "YES"} <= READ
    assert len(READ) > 40
    assert {"erase", "smoke", "lock-python", "install-bundle"} <= set(TARGETS)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_target_runs_what_stands_in_a_variable(checkout: Path, payload: str) -> None:
    mark = checkout / "mark"
    text = payload.format(mark=mark)
    # A program that is replaced is run, by the shell: only make's own expansion is tried there.
    programs = [f"{name}=true {text}" for name in ("RUN",) if payload.startswith(("$(shell", "${shell"))]
    values = [f"{name}={text}" for name in sorted(READ - PROGRAMS)]
    make(checkout, "--keep-going", *TARGETS, *values, *programs)
    assert not mark.exists()
    if payload in PAYLOADS[:1]:
        make(checkout, "--keep-going", *TARGETS, **dict.fromkeys(READ - PROGRAMS, text))
        assert not mark.exists(), "from the environment"
    for name in ("PYTHON", "UV"):
        shutil.rmtree(checkout / ".venv-sdk4", ignore_errors=True)
        make(checkout, "lock-python", ".venv-sdk4/bin/python", f"{name}={text}")
        assert not mark.exists(), name
    # A setting that the Makefile does not name goes through make to the scripts.
    make(checkout, "up", f"LANGFUSE_PORT={text}")
    assert not mark.exists()
    said = (checkout / "environment").read_text()
    assert f"LANGFUSE_PORT={text}" in said


@pytest.mark.parametrize("payload", PAYLOADS)
def test_what_is_set_arrives_as_it_stands(checkout: Path, payload: str) -> None:
    text = payload.format(mark=checkout / "mark")
    assert make(checkout, "erase", f"USER_ID={text}").returncode == 0
    assert (checkout / "said").read_text().splitlines() == ["-m", "scripts", "erase", "user", text]


def test_args_are_taken_apart_into_words_without_a_shell(checkout: Path) -> None:
    done = make(checkout, "smoke", "ARGS=-k 'a or b' $HOME *.py --x=\"1 2\"")
    assert done.returncode == 0, done.stderr
    words = ["-m", "scripts", "smoke", "-k", "a or b", "$HOME", "*.py", "--x=1 2"]
    assert (checkout / "said").read_text().splitlines() == words


def test_args_with_an_open_quote_are_refused(checkout: Path) -> None:
    done = make(checkout, "smoke", "ARGS=-k 'a")
    assert done.returncode == 2
    assert "error: ARGS cannot be read: No closing quotation.\nfix: close the quote." in done.stderr
    assert not (checkout / "said").exists()


def test_a_line_break_is_refused(checkout: Path) -> None:
    """Make takes what follows it for a command of its own."""
    done = make(checkout, "--ignore-errors", "erase", f"USER_ID=a\ntouch {checkout / 'mark'}")
    assert "USER_ID has a line break" in done.stderr
    assert not (checkout / "mark").exists()
    assert not (checkout / "said").exists()
