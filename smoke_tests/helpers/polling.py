"""Wait for an answer with a deadline, and fail with all that is needed to understand why."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable

Answer = TypeVar("Answer")

# Seconds. A Langfuse server with default settings shows a span after about 1 s and a score after 6 s, or 15 s
# around midnight UTC, when its queue delay is not cut short.
DEADLINE_S = float(os.environ.get("SMOKE_DEADLINE_S", "60"))
# Seconds without any connection after which a server counts as gone, whatever the deadline is.
UNREACHABLE_S = 10.0

FIRST_PAUSE_S = 0.01
LONGEST_PAUSE_S = 0.5
PAUSE_GROWTH = 1.5

SHOWN_CHARACTERS = 2000

DEFAULT_HINT = "look at the server's log (`make logs`), and at `make status` for its health"


class NotInTimeError(AssertionError):
    """What was waited for did not come before the deadline."""


class TransientAnswerError(Exception):
    """The server answered that it cannot serve this at the moment (429 or 5xx); asking again may help."""


def eventually(
    read: Callable[[], Answer],
    missing: Callable[[Answer], str],
    *,
    what: str,
    hint: str = DEFAULT_HINT,
    deadline_s: float = DEADLINE_S,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Answer:
    """Call `read` until `missing` finds nothing missing in its answer, and return that answer.

    Args:
        read: asks the server once; may raise `TransientAnswerError` or `httpx.TransportError`, which count as
            "not yet".
        missing: says what the answer still lacks; an empty text ends the wait.
        what: what is waited for, as it stands in the failure message.
        hint: where to look when it does not come.
        deadline_s: seconds from now.
        clock: monotonic seconds.
        sleep: pauses for a number of seconds.

    Raises:
        NotInTimeError: with what was waited for, how long, how often, the last answer and the hint. Early
            when the server could not be reached for `UNREACHABLE_S`.
    """
    started = clock()
    last_contact = started
    attempts = 0
    pause = FIRST_PAUSE_S
    while True:
        attempts += 1
        try:
            answer = read()
        except httpx.TransportError as error:
            lacking, shown = "the server cannot be reached", repr(error)
        except TransientAnswerError as error:
            last_contact = clock()
            lacking, shown = "the server answered with an error", str(error)
        else:
            last_contact = clock()
            lacking, shown = missing(answer), _show(answer)
            if not lacking:
                return answer
        now = clock()
        gone = now - last_contact >= UNREACHABLE_S
        if gone or now - started >= deadline_s:
            msg = (
                f"waited {now - started:.1f} s of at most {deadline_s:.0f} s for {what}\n"
                f"  still missing: {lacking} (asked {attempts} times)\n"
                f"  last answer:   {shown}\n"
                f"  hint:          {hint}"
            )
            raise NotInTimeError(msg)
        sleep(min(pause, max(0.0, started + deadline_s - now)))
        pause = min(pause * PAUSE_GROWTH, LONGEST_PAUSE_S)


def _show(answer: Any) -> str:
    text = json.dumps(answer, default=str, ensure_ascii=False)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}... ({len(text)} characters)"
