"""The command line and the Makefile: exit codes, help, and errors without a traceback."""

from __future__ import annotations

import errno
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from scripts.cli import app
from scripts.core.errors import CommandFailed, StackError, UsageError
from scripts.engines import execution
from scripts.engines.context import Context

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
    def command(_context: Context) -> int:
        raise error

    monkeypatch.setattr(execution.signal, "signal", lambda *_: None)
    with pytest.raises(typer.Exit) as caught:
        execution.execute(command)
    return caught.value.exit_code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StackError("failed"), 1),
        (UsageError("wrong"), 2),
        (CommandFailed(["docker"], 125, "no space"), 1),
        (PermissionError(errno.EACCES, "Permission denied", "/etc/x"), 1),
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


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "", "/data/x"), "error: /data/x cannot be used: No space left on device.\n"),
        (OSError(errno.EROFS, "", b"/data/x"), "fix: name a place that can be written.\n"),
        (OSError(errno.ENOTDIR, "", "/data/x/y"), "fix: see that this place exists and is what is meant"),
    ],
)
def test_a_place_that_cannot_be_used_is_named_with_the_reason_and_a_fix(
    error: OSError, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code_of(error, monkeypatch) == 1
    assert said in capsys.readouterr().err


def test_an_error_of_the_system_without_a_place_is_a_fault_of_ours_and_shows_where() -> None:
    def command(_context: Context) -> int:
        raise OSError(errno.EBADF, "Bad file descriptor")

    with pytest.raises(OSError, match="Bad file descriptor"):
        execution.execute(command)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("nonsense",), "No such command 'nonsense'"),
        (("exprt",), "Did you mean 'export'"),
        (("up", "--nonsense"), "No such option: --nonsense"),
        (("logs", "-n", "many"), "'--lines' / '-n'"),
        (("export",), "Missing option '--into'"),
        (("images", "load"), "Missing argument 'file'"),
    ],
)
def test_wrong_calls_exit_with_2_and_say_why(arguments: tuple[str, ...], why: str) -> None:
    done = python(*arguments)
    assert done.returncode == 2
    assert re.match(r"error: .+\nfix: make help GROUP=all .+ explains it\.\n$", done.stderr)
    assert why in done.stderr


def test_without_a_command_the_commands_are_listed() -> None:
    done = python()
    assert done.returncode == 0
    assert re.search(r"^ +up +Start Langfuse", done.stdout, re.MULTILINE)


def make(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "-C", str(ROOT), "--no-print-directory", *arguments],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=check,
    )


def words_made(*arguments: str) -> list[str]:
    """Return what make would run, as the shell takes it apart."""
    commands = make("-n", "RUN=scripts", *arguments).stdout.replace("\\\n", " ").splitlines()
    words = shlex.split(commands[-1])
    # What takes ARGS apart stands before the command.
    return words[3:] if "scripts/append_words.py" in words else words


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("erase", "USER_ID=O'Brian $HOME $(id)"), ["erase", "user", "O'Brian $HOME $(id)"]),
        (
            ("export", "INTO=my files", "PROJECT=kosmos"),
            ["export", "--into", "my files", "--project", "kosmos"],
        ),
        (("erase", "TAG=a", "APPLY=0"), ["erase", "tag", "a"]),
        (("erase", "TAG=a", "APPLY=1"), ["erase", "tag", "a", "--apply"]),
        (("destroy", "YES=no", "DRY_RUN=1"), ["destroy", "--dry-run"]),
        (("restore", "SMOKE=0", "REPLACE=false"), ["restore", "--no-smoke"]),
        (("restore", "SMOKE=1"), ["restore"]),
        (("upgrade", "TO=4.60.0"), ["upgrade", "4.60.0"]),
        (("init",), ["init"]),
        (("init", "FROM=examples/kosmos", "DRY_RUN=1"), ["init", "--from", "examples/kosmos", "--dry-run"]),
        (("capacity",), ["capacity", "--spans-per-s", "10"]),
        (("logs", "SERVICE=a;b"), ["logs", "a;b"]),
        (("judges", "JUDGE=accuracy"), ["judges", "--judge", "accuracy"]),
        (
            ("judges", "COVERAGE=conformal_coverage", "TARGET=0.9", "DAYS=1", "JSON=1"),
            ["judges", *("--days", "1", "--coverage", "conformal_coverage", "--target", "0.9"), "--json"],
        ),
    ],
)
def test_make_hands_settings_on_as_they_stand(arguments: tuple[str, ...], words: list[str]) -> None:
    assert words_made(*arguments) == ["scripts", *words]


def test_make_help_of_an_unknown_group_names_the_groups_and_fails() -> None:
    done = make("help", "GROUP=wtch", check=False)
    assert done.returncode == 2
    assert "There is no group wtch: help run config images data watch check develop all" in done.stderr


def test_wrong_settings_exit_with_2_and_start_nothing(tmp_path: Path) -> None:
    done = python("up", LANGFUSE_PORT="many", STACK_DIR=str(tmp_path / "stack"))
    assert done.returncode == 2
    assert "LANGFUSE_PORT (environment): 'many' is not a whole number" in done.stderr
    assert not (tmp_path / "stack").exists()


def test_help_of_make_fits_a_terminal_and_names_every_target() -> None:
    done = make()
    lines = done.stdout.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    makefile = (ROOT / "Makefile").read_text()
    phony = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[0].split()
    assert {target for target in phony if not re.search(rf"\b{target}\b", done.stdout)} == set()


def test_help_of_make_explains_every_target_in_a_terminal_of_80_columns() -> None:
    done = make("help", "GROUP=all")
    assert [line for line in done.stdout.splitlines() if len(line) > 80] == []


def test_every_command_in_the_makefile_exists() -> None:
    commands = set(re.findall(r"\$\(RUN\) ([a-z][a-z-]*)", (ROOT / "Makefile").read_text()))
    known = set(get_command(app).commands)  # type: ignore[attr-defined]
    assert len(commands) >= 9
    assert commands - known == set()


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
