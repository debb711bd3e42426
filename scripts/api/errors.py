"""The errors of the client.

ApiError                 a call of Langfuse's API failed
├── NoAnswer             the server could not be reached, or did not answer in time
├── UnexpectedAnswer     it answered, but not as Langfuse does
└── ErrorAnswer          it answered with an error
    └── ObjectRefused    which is about one object: others are not concerned
"""

from __future__ import annotations

from dataclasses import dataclass

from scripts.core.errors import StackError

OF_ONE_OBJECT = frozenset({400, 404, 409, 413, 414, 415, 422, 431, 500})
"""What a server answers when something is wrong with one object, after all attempts."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What you can do when the server refuses the key, answers with another error, or does not answer."""

    key: str = "check the key."
    refused: str = "look at `make logs`."
    away: str = "look at `make status` and `make logs`."


class ApiError(StackError):
    """A call of Langfuse's API failed."""


class NoAnswer(ApiError):
    """The server did not answer.

    Attributes:
        kind: what happened, such as `ConnectError`.
        reason: the same with its details.
    """

    def __init__(self, call: str, error: Exception, *, fix: str) -> None:
        self.kind = type(error).__name__
        self.reason = f"{self.kind}: {error}"
        super().__init__(f"{call} got no answer ({self.reason}).", fix=fix)


class UnexpectedAnswer(ApiError):
    """The server answered, but not as Langfuse does."""


class ErrorAnswer(ApiError):
    """The server answered with an error.

    Attributes:
        status: the HTTP status; 0 where the request could not be sent.
    """

    def __init__(self, message: str, *, status: int = 0, fix: str = "") -> None:
        super().__init__(message, fix=fix)
        self.status = status


class ObjectRefused(ErrorAnswer):
    """The server does not give or take this one object."""


def reason_of(error: Exception) -> str:
    """Return why a call failed, or why its answer cannot be used, as a part of a sentence."""
    return error.message.rstrip(".") if isinstance(error, ApiError) else f"{type(error).__name__}: {error}"
