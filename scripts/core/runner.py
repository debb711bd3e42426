"""Run programs: argv lists only, output captured, with a time limit."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .errors import CommandFailed, StackError


@dataclass(frozen=True, slots=True)
class Completed:
    """What a program that ended leaves."""

    returncode: int
    stdout: str = ""
    stderr: str = ""


class Runner(Protocol):
    """Runs programs; tests put a fake in its place."""

    def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        stdin: str = "",
        timeout_s: float = 60,
    ) -> Completed:
        """Run to the end and return the outcome, also that of a failure.

        Raises:
            StackError: the program does not exist or took longer than `timeout_s` seconds.
        """

    def stream(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> int:
        """Run with output straight to the screen; return the exit code."""


@dataclass(frozen=True, slots=True)
class SubprocessRunner:
    """Runs real programs in the directory `cwd`."""

    cwd: Path

    def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        stdin: str = "",
        timeout_s: float = 60,
    ) -> Completed:
        """See Runner."""
        try:
            done = subprocess.run(
                argv,
                cwd=self.cwd,
                env=env,
                input=stdin,
                capture_output=True,
                text=True,
                timeout=timeout_s,
                check=False,
            )
        except FileNotFoundError as error:
            raise _not_found(argv) from error
        except subprocess.TimeoutExpired as error:
            raise StackError(
                f"`{' '.join(argv)}` did not end within {timeout_s:.0f} s.",
                fix="look at what it waits for, then repeat.",
            ) from error
        return Completed(done.returncode, done.stdout, done.stderr)

    def stream(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> int:
        """See Runner."""
        try:
            return subprocess.run(
                argv, cwd=self.cwd, env=env, stdin=subprocess.DEVNULL, check=False
            ).returncode
        except FileNotFoundError as error:
            raise _not_found(argv) from error


def checked(argv: Sequence[str], done: Completed, *, fix: str = "") -> Completed:
    """Return the outcome of a program that had to succeed.

    Raises:
        CommandFailed: it did not; carries its last lines.
    """
    if done.returncode != 0:
        raise CommandFailed(argv, done.returncode, done.stderr or done.stdout, fix=fix)
    return done


def _not_found(argv: Sequence[str]) -> StackError:
    return StackError(f"The program {argv[0]} was not found.", fix=f"install {argv[0]} or add it to PATH.")
