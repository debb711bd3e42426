"""What every example needs: a Langfuse client, a wait for what was sent, its command line."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import httpx
from langfuse import Langfuse
from langfuse.api.core import ApiError

METRICS_DEADLINE_S = 60
KEYS = ("LANGFUSE_PUBLIC_KEY", "LANGFUSE_SECRET_KEY")

Result = dict[str, Any]


def command_line(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with what every example takes; the first line of its docstring describes it."""
    parser = argparse.ArgumentParser(description=str(description).splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser


@contextmanager
def packages(*names: str) -> Iterator[None]:
    """Import in this block what not every example needs.

    Raises:
        SystemExit: 2 when a package is missing; says how to install it.
    """
    try:
        yield
    except ModuleNotFoundError as missing:
        stop(2, f"There is no package {missing.name}: {sys.executable} -m pip install {' '.join(names)}")


def connect() -> Langfuse:
    """Return a client for the project that the environment names.

    It asks the server whether it knows the keys: the SDK itself only logs what it cannot deliver. An
    application should not ask at every start, as the call blocks.

    Raises:
        SystemExit: 2 when a key is missing, 1 when the server refuses the keys or does not answer.
    """
    missing = [key for key in KEYS if not os.environ.get(key)]
    if missing:
        stop(2, f"{' and '.join(missing)} not set: source a file in .stack/credentials/ first")
    langfuse = Langfuse()
    try:
        langfuse.auth_check()
    except ApiError as error:
        stop(1, f"Langfuse refused the keys ({error.status_code}): {error.body}")
    except httpx.TransportError as error:
        stop(1, f"Langfuse does not answer at {os.environ.get('LANGFUSE_BASE_URL')}: {error}")
    return langfuse


def require_models() -> None:
    """End the example when the environment names no OpenAI-compatible server.

    Raises:
        SystemExit: 2 when OPENAI_API_KEY is missing.
    """
    if not os.environ.get("OPENAI_API_KEY"):
        stop(2, "OPENAI_API_KEY not set: `make fake-llm` serves a stand-in and says what to set")


def await_metrics(langfuse: Langfuse, *queries: dict[str, Any], enough: int) -> list[dict[str, Any]]:
    """Return the rows that the Metrics API answers once they count at least `enough` observations or scores.

    A server shows a span about one second after it was sent and a score after six, so whoever asks at once
    would add up half of it. A query must have the metric `count`.

    Raises:
        SystemExit: 1 when that takes longer than METRICS_DEADLINE_S.
    """
    started = time.monotonic()
    while True:
        rows: list[dict[str, Any]] = [
            row for query in queries for row in langfuse.api.metrics.metrics(query=json.dumps(query)).data
        ]
        counted = sum(int(row["count_count"]) for row in rows)
        if counted >= enough:
            return rows
        if time.monotonic() - started > METRICS_DEADLINE_S:
            stop(1, f"The Metrics API counts {counted} of {enough} after {METRICS_DEADLINE_S} seconds")
        time.sleep(0.1)


def conclude(
    langfuse: Langfuse, result: Result, show: Callable[[Langfuse, Result], None], *, as_json: bool
) -> int:
    """Print the result, for programs or for people, and send what is left to send. Return exit code 0."""
    if as_json:
        print(json.dumps(result))
    else:
        show(langfuse, result)
    langfuse.shutdown()
    return 0


def stop(code: int, message: str) -> NoReturn:
    """End the example with a message and an exit code."""
    print(message, file=sys.stderr)
    raise SystemExit(code)
