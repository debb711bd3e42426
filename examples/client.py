"""Open the Langfuse client that every example uses, or say what is missing."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import httpx
from langfuse import Langfuse
from langfuse.api.core import ApiError

KEYS = ("LANGFUSE_PUBLIC_KEY", "LANGFUSE_SECRET_KEY")


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


def stop(code: int, message: str) -> NoReturn:
    """End the example with a message and an exit code."""
    print(message, file=sys.stderr)
    raise SystemExit(code)
