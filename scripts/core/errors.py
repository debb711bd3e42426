"""The errors of the commands: a message says what happened, where, and what to do.

StackError               expected failure; exit code 1
├── UsageError           wrong call or wrong configuration, nothing was changed; exit code 2
│   ├── SettingsError    bad values in .env or the environment
│   └── StackFileError   bad config/stack.yaml
├── EngineError          an engine did not start, stop or answer
│   ├── EngineDied       its process ended while we waited for it
│   └── WaitTimeout      it did not get there within the deadline
├── CommandFailed        a program that we ran failed
├── CommandTimedOut      a program that we ran did not end in time
└── ProvisioningError    an organization, project or key could not be made
"""

from __future__ import annotations

from collections.abc import Sequence

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_WARNINGS = 3
EXIT_DRIFT = 3
EXIT_INTERRUPTED = 130

_LONGEST_WORD = 100


class StackError(Exception):
    """An expected failure.

    Attributes:
        message: what happened and where.
        fix: what to do about it, one sentence or command; empty where the message says it.
        details: further lines, such as the last lines of a log.
    """

    exit_code = EXIT_FAILED

    def __init__(self, message: str, *, fix: str = "", details: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.details = tuple(details)

    def __str__(self) -> str:
        lines = [self.message, *(f"  {line}" for line in self.details)]
        if self.fix:
            lines.append(f"Fix: {self.fix}")
        return "\n".join(lines)


class UsageError(StackError):
    """A wrong call or configuration. Nothing was changed."""

    exit_code = EXIT_USAGE


class SettingsError(UsageError):
    """One or more settings have bad values."""


class StackFileError(UsageError):
    """`config/stack.yaml` cannot be used."""


class EngineError(StackError):
    """An engine did not start, stop or answer."""


class EngineDied(EngineError):
    """The process of the engine ended while we waited for it."""


class WaitTimeout(EngineError):
    """What was waited for did not happen within its deadline."""


def command_text(argv: Sequence[str]) -> str:
    """Return a command for people: a script or statement among its words is cut short."""
    words = (" ".join(word.split()) if any(char.isspace() for char in word) else word for word in argv)
    return " ".join(word if len(word) <= _LONGEST_WORD else f"{word[:_LONGEST_WORD]}..." for word in words)


class CommandFailed(StackError):
    """A program that we ran failed.

    Attributes:
        argv: what was run.
        returncode: its exit code.
    """

    def __init__(
        self, argv: Sequence[str], returncode: int, stderr: str, *, fix: str = "", last_lines: int = 12
    ) -> None:
        super().__init__(
            f"`{command_text(argv)}` failed with exit code {returncode}.",
            fix=fix,
            details=stderr.strip().splitlines()[-last_lines:],
        )
        self.argv = tuple(argv)
        self.returncode = returncode


class CommandTimedOut(StackError):
    """A program that we ran did not end in time, and was killed."""


class ProvisioningError(StackError):
    """An organization, a project or a key could not be made."""
