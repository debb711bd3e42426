"""The canary: write a span and a score as an application does, read them back as a reader does.

No endpoint of Langfuse looks at ClickHouse, the object store or the worker; a span that arrives passes all.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from scripts.api.client import AsyncApi
from scripts.api.errors import NoAnswer
from scripts.api.keys import ProjectKey
from scripts.watch.alerts.queries import CANARY_ENVIRONMENT

if TYPE_CHECKING:
    import httpx

SPAN_NAME = "canary"
SCORE_NAME = "canary"
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 1.0


class Result(StrEnum):
    """How a run ended."""

    OK = "ok"
    SLOW = "slow"
    """All was readable, but late."""
    REFUSED = "refused"
    """The server answered a write with an error."""
    UNAUTHORIZED = "unauthorized"
    """The server does not accept the key."""
    UNREACHABLE = "unreachable"
    """There was no answer."""
    UNREADABLE = "unreadable"
    """A write was acknowledged but could not be read back in time: it may be lost."""


class Step(StrEnum):
    """What a run does, in this order."""

    WRITE_SPAN = "write_span"
    READ_SPAN = "read_span"
    WRITE_SCORE = "write_score"
    READ_SCORE = "read_score"


@dataclass(slots=True)
class Run:
    """One run.

    Attributes:
        seconds: how long each step took that was done; reading counts from the acknowledgement.
        failed: the step that failed, if any.
    """

    result: Result = Result.OK
    seconds: dict[Step, float] = field(default_factory=dict)
    failed: Step | None = None
    detail: str = ""

    @property
    def complete(self) -> bool:
        """Whether everything written was read back."""
        return self.result in (Result.OK, Result.SLOW)


class _Failed(Exception):
    def __init__(self, result: Result, detail: str) -> None:
        super().__init__(detail)
        self.result = result
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Canary:
    """Writes to one project.

    Attributes:
        deadline_s: for each of the two readings.
        slow_s: a run whose steps take longer together is slow.
    """

    client: AsyncApi
    key: ProjectKey
    deadline_s: float
    slow_s: float

    async def run(self) -> Run:
        """Write and read back once. Never raises for what the server does."""
        run = Run()
        now = datetime.now(UTC)
        # One trace a day, so that canaries do not crowd lists of traces.
        trace = hashlib.sha256(f"canary {self.key.project} {now:%Y-%m-%d}".encode()).hexdigest()[:32]
        span, score = secrets.token_hex(8), f"canary-{secrets.token_hex(8)}"
        steps: Mapping[Step, Callable[[], Awaitable[None]]] = {
            Step.WRITE_SPAN: lambda: self._write("/api/public/otel/v1/traces", _export(trace, span, now)),
            Step.READ_SPAN: lambda: self._read(
                "/api/public/v2/observations",
                {"traceId": trace, "fromStartTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"), "limit": "10"},
                span,
            ),
            Step.WRITE_SCORE: lambda: self._write(
                "/api/public/scores",
                {
                    "id": score,
                    "traceId": trace,
                    "name": SCORE_NAME,
                    "value": 1,
                    "dataType": "NUMERIC",
                    "environment": CANARY_ENVIRONMENT,
                },
            ),
            Step.READ_SCORE: lambda: self._read("/api/public/v3/scores", {"id": score}, score),
        }
        for step, do in steps.items():
            start = time.monotonic()
            try:
                await do()
            except _Failed as failure:
                run.result, run.failed, run.detail = failure.result, step, failure.detail
                return run
            run.seconds[step] = time.monotonic() - start
        if sum(run.seconds.values()) > self.slow_s:
            run.result = Result.SLOW
            run.detail = f"{sum(run.seconds.values()):.1f} s, more than {self.slow_s:g} s"
        return run

    async def _write(self, path: str, body: dict[str, Any]) -> None:
        answer = await self._call("POST", path, body=body)
        if not answer.is_success:
            raise _Failed(Result.REFUSED, f"{path} answers {answer.status_code}")

    async def _read(self, path: str, parameters: Mapping[str, str], wanted: str) -> None:
        deadline = time.monotonic() + self.deadline_s
        pause, seen = _FIRST_PAUSE_S, ""
        while True:
            answer = await self._call("GET", path, query=parameters)
            if answer.is_success:
                if any(row.get("id") == wanted for row in answer.json().get("data", ())):
                    return
                seen = "it is not in the answer"
            else:
                seen = f"{path} answers {answer.status_code}"
            if time.monotonic() + pause > deadline:
                raise _Failed(Result.UNREADABLE, f"not readable after {self.deadline_s:g} s: {seen}")
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE_S)

    async def _call(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            answer = await self.client.request(method, path, keys=self.key.keys, **arguments)
        except NoAnswer as error:
            raise _Failed(Result.UNREACHABLE, f"{path}: {error.kind}") from error
        if answer.status_code in (401, 403):
            raise _Failed(Result.UNAUTHORIZED, f"{path} answers {answer.status_code}")
        return answer


def _export(trace: str, span: str, now: datetime) -> dict[str, Any]:
    start = int(now.timestamp() * 1000) * 1_000_000
    attributes = {
        "langfuse.environment": CANARY_ENVIRONMENT,
        "langfuse.trace.name": SPAN_NAME,
        "langfuse.observation.type": "span",
    }
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": []},
                "scopeSpans": [
                    {
                        "scope": {"name": "langfuse-stack-canary"},
                        "spans": [
                            {
                                "traceId": trace,
                                "spanId": span,
                                "name": SPAN_NAME,
                                "kind": 1,
                                "startTimeUnixNano": str(start),
                                "endTimeUnixNano": str(start + 1_000_000),
                                "attributes": [
                                    {"key": key, "value": {"stringValue": value}}
                                    for key, value in attributes.items()
                                ],
                                "status": {},
                            }
                        ],
                    }
                ],
            }
        ]
    }
