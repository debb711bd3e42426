"""What a test needs of a Langfuse server, wherever it runs."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from typing import Any

import httpx

_POLL_SECONDS = 0.05


class LangfuseFailed(AssertionError):
    """The server did not do what a test needs of it; the text carries its last log lines."""


class TraceNotFound(AssertionError):
    """A trace did not become readable in time; the text says what was found instead."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The credentials of one project."""

    project_id: str
    public_key: str
    secret_key: str

    @property
    def auth(self) -> tuple[str, str]:
        """User and password of HTTP Basic."""
        return self.public_key, self.secret_key

    @property
    def header(self) -> str:
        """The value of the `Authorization` header."""
        pair = f"{self.public_key}:{self.secret_key}"
        return "Basic " + base64.b64encode(pair.encode()).decode()


class LangfuseServer:
    """A server with one provisioned project: an `EmbeddedLangfuse`, a `LangfuseStack`, or any that runs."""

    def __init__(self, base_url: str, keys: Keys) -> None:
        self.base_url = base_url
        self.keys = keys

    def environment(self) -> dict[str, str]:
        """Return the variables from which the SDKs of both lines take URL and keys."""
        return {
            "LANGFUSE_BASE_URL": self.base_url,
            "LANGFUSE_HOST": self.base_url,
            "LANGFUSE_PUBLIC_KEY": self.keys.public_key,
            "LANGFUSE_SECRET_KEY": self.keys.secret_key,
        }

    def observations(self, trace_id: str) -> list[dict[str, Any]]:
        """Return the observations of a trace that are readable now, oldest first, with all field groups."""
        fields = "core,basic,time,io,metadata,model,usage,prompt,metrics,trace_context"
        with httpx.Client(base_url=self.base_url, auth=self.keys.auth, timeout=10) as client:
            answer = client.get(
                "/api/public/v2/observations", params={"traceId": trace_id, "fields": fields, "limit": 1000}
            )
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()["data"]
        return found[::-1]

    def wait_for_trace(
        self, trace_id: str, *, observations: int = 1, seconds: float = 20
    ) -> list[dict[str, Any]]:
        """Return the observations of a trace, oldest first, as soon as there are at least so many.

        A real server stores what it accepted a moment later, so a test must wait; flush the SDK before.

        Raises:
            TraceNotFound: there are fewer after `seconds`.
        """
        deadline = time.monotonic() + seconds
        while True:
            found = self.observations(trace_id)
            if len(found) >= observations:
                return found
            if time.monotonic() >= deadline:
                names = ", ".join(str(each.get("name")) for each in found) or "none"
                raise TraceNotFound(
                    f"Trace {trace_id} has {len(found)} of {observations} observations after {seconds:g} s "
                    f"on {self.base_url} (project {self.keys.project_id}): {names}. "
                    "Was the SDK flushed, and does it use this URL and these keys?"
                )
            time.sleep(_POLL_SECONDS)
