"""Run programs: argv lists only, output captured, with a time limit."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from .errors import CommandFailed, CommandTimedOut, StackError, command_text

# A program that is told to end while it talks to the Docker engine needs a moment to say goodbye.
END_TIMEOUT_S = 20.0


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

    def watched(
        self,
        argv: Sequence[str],
        look: Callable[[str], None],
        *,
        env: Mapping[str, str] | None = None,
        every_s: float = 1.0,
        timeout_s: float = 60,
    ) -> Completed:
        """Run to the end as `run` does, and call `look` with what was said so far every `every_s` seconds.

        Whatever `look` raises, an interruption too, ends the program and goes on to the caller.
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
        try:
            process = subprocess.Popen(
                argv,
                cwd=self.cwd,
                env=env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        except (FileNotFoundError, PermissionError) as error:
            raise _not_found(argv) from error
        with process:
            try:
                out, err = process.communicate(stdin, timeout_s)
            except BaseException as error:
                # subprocess.run would not wait for what it has killed after Ctrl-C.
                process.kill()
                process.wait()
                if isinstance(error, subprocess.TimeoutExpired):
                    raise _too_slow(argv, timeout_s) from error
                raise
        return Completed(process.returncode, out, err)

    def watched(
        self,
        argv: Sequence[str],
        look: Callable[[str], None],
        *,
        env: Mapping[str, str] | None = None,
        every_s: float = 1.0,
        timeout_s: float = 60,
    ) -> Completed:
        # Files, not pipes: nobody reads while it works, and a full pipe would stop it.
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            try:
                process = subprocess.Popen(
                    argv, cwd=self.cwd, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=err
                )
            except (FileNotFoundError, PermissionError) as error:
                raise _not_found(argv) from error
            deadline = time.monotonic() + timeout_s
            try:
                while not _ends_within(process, every_s):
                    if time.monotonic() >= deadline:
                        raise _too_slow(argv, timeout_s)
                    look(_so_far(err))
            except BaseException:
                process.terminate()
                if not _ends_within(process, END_TIMEOUT_S):
                    process.kill()
                    process.wait()
                raise
            return Completed(process.returncode, _so_far(out), _so_far(err))

    def stream(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> int:
        try:
            return subprocess.run(
                argv, cwd=self.cwd, env=env, stdin=subprocess.DEVNULL, check=False
            ).returncode
        except (FileNotFoundError, PermissionError) as error:
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
    """Return the error for a program that cannot be started.

    Where PATH has a directory that this user may not enter, the system says that permission is denied, also
    when the program is nowhere (execvp(3)).
    """
    if found := shutil.which(argv[0], mode=os.F_OK):
        return StackError(
            f"This user may not run {found}.", fix=f"make it executable for you: chmod a+rx {found}."
        )
    return StackError(f"The program {argv[0]} was not found.", fix=f"install {argv[0]} or add it to PATH.")


def _too_slow(argv: Sequence[str], timeout_s: float) -> CommandTimedOut:
    return CommandTimedOut(
        f"`{command_text(argv)}` did not end within {timeout_s:.0f} s.",
        fix="look at what it waits for, then repeat.",
    )


def _ends_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _so_far(file: IO[str]) -> str:
    """Return what a program has written into a file that both hold open."""
    return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode(errors="replace")
