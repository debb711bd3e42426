"""The command line and the Makefile: exit codes, help, and errors without a traceback."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from scripts import cli
from scripts.core.context import Context
from scripts.core.errors import CommandFailed, StackError, UsageError

ROOT = Path(__file__).parents[3]


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scripts", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def exit_code_of(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> int:
    def verb(_context: Context) -> int:
        raise error

    monkeypatch.setattr(cli.signal, "signal", lambda *_: None)
    with pytest.raises(typer.Exit) as caught:
        cli.execute(verb)
    return caught.value.exit_code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StackError("failed"), 1),
        (UsageError("wrong"), 2),
        (CommandFailed(["docker"], 125, "no space"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_exit_codes(error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert exit_code_of(error, monkeypatch) == code


def test_an_error_shows_what_happened_details_and_fix(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = StackError("It broke [here].", fix="mend it.", details=["last line"])
    exit_code_of(error, monkeypatch)
    assert capsys.readouterr().err == "error: It broke [here].\n  last line\nfix: mend it.\n"


@pytest.mark.parametrize("arguments", [("nonsense",), ("up", "--nonsense"), ("logs", "-n", "many")])
def test_wrong_calls_exit_with_2_and_say_why(arguments: tuple[str, ...]) -> None:
    done = python(*arguments)
    assert done.returncode == 2
    assert "Error" in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_settings_exit_with_2_and_start_nothing(tmp_path: Path) -> None:
    done = python("up", LANGFUSE_PORT="many", STACK_DIR=str(tmp_path / "stack"))
    assert done.returncode == 2
    assert "LANGFUSE_PORT (environment): 'many' is not a whole number" in done.stderr
    assert not (tmp_path / "stack").exists()


def test_help_of_make_fits_a_terminal_and_names_every_target() -> None:
    done = subprocess.run(["make", "-C", str(ROOT)], capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if not line.startswith("make")]
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    makefile = (ROOT / "Makefile").read_text()
    phony = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[0].split()
    assert {target for target in phony if not re.search(rf"\b{target}\b", done.stdout)} == set()


def test_help_of_make_explains_every_target_in_a_terminal_of_80_columns() -> None:
    done = subprocess.run(
        ["make", "-C", str(ROOT), "help", "GROUP=all"], capture_output=True, text=True, check=True
    )
    assert [line for line in done.stdout.splitlines() if len(line) > 80 and not line.startswith("make")] == []


def test_every_verb_in_the_makefile_exists() -> None:
    verbs = set(re.findall(r"\$\(RUN\) ([a-z][a-z-]*)", (ROOT / "Makefile").read_text()))
    known = set(get_command(cli.app).commands)  # type: ignore[attr-defined]
    assert len(verbs) >= 9
    assert verbs - known == set()


def test_a_python_that_does_not_run_is_passed_over(tmp_path: Path) -> None:
    for name, body in (("python3", "exit 127"), ("python3.12", "exit 0")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    found = subprocess.run(
        ["/bin/sh", str(ROOT / "scripts" / "find-python.sh")],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == "python3.12\n"


def test_without_any_python_that_is_new_enough_the_search_fails(tmp_path: Path) -> None:
    (tmp_path / "python3").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python3").chmod(0o755)
    found = subprocess.run(
        ["/bin/sh", str(ROOT / "scripts" / "find-python.sh")], env={"PATH": str(tmp_path)}, check=False
    )
    assert found.returncode == 1
